//! Figures from the notes of the data, measured with others' programs on the same files, beside those of this run. Constants; nothing is
//! computed here.

/// One such figure: area under the curve over single flows.
pub(super) struct Published {
    /// Set and file.
    pub(super) set: &'static str,
    pub(super) file: &'static str,
    /// The program that was measured.
    pub(super) method: &'static str,
    pub(super) flow_auc: f64,
    /// The row of this run that is the same method, where there is one.
    pub(super) peer: Option<&'static str>,
}

const fn of(
    set: &'static str,
    file: &'static str,
    method: &'static str,
    flow_auc: f64,
    peer: Option<&'static str>,
) -> Published {
    Published { set, file, method, flow_auc, peer }
}

/// MIDAS: Bhatia and others, AAAI 2020 and TKDD 2022; AnoEdge: AAAI 2023; half-space trees: IJCAI 2011. Settings of westermo's are
/// not known.
pub(super) const ALL: [Published; 13] = [
    of("darpa98", "edges.csv.gz", "MIDAS", 0.8986, Some("MIDAS")),
    of("darpa98", "edges.csv.gz", "MIDAS-R", 0.9504, Some("MIDAS-R")),
    of("darpa98", "edges.csv.gz", "AnoEdge-L", 0.9642, None),
    of("darpa98", "edges.csv.gz", "MIDAS-F", 0.9786, Some("MIDAS-F")),
    of("westermo", "left.csv.gz", "MIDAS-R", 0.889, Some("MIDAS-R")),
    of("westermo", "left.csv.gz", "half-space trees", 0.852, Some("half-space trees")),
    of("westermo", "left.csv.gz", "isolation forest, in batch", 0.868, None),
    of("westermo", "bottom.csv.gz", "MIDAS-R", 0.600, Some("MIDAS-R")),
    of("westermo", "bottom.csv.gz", "half-space trees", 0.581, Some("half-space trees")),
    of("westermo", "bottom.csv.gz", "isolation forest, in batch", 0.623, None),
    of("westermo", "right.csv.gz", "MIDAS-R", 0.774, Some("MIDAS-R")),
    of("westermo", "right.csv.gz", "half-space trees", 0.776, Some("half-space trees")),
    of("westermo", "right.csv.gz", "isolation forest, in batch", 0.776, None),
];

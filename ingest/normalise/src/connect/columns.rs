//! The columns of a batch that tell connections apart, with every distinct text hashed once. Not the memory of
//! connections.

use super::ConnectSettings;
use super::observation::{GAP_REQUEST, GAP_TCP, GAP_UDP, Observation, tells};
use foldhash::quality::FixedState;
use std::borrow::Cow;
use std::hash::BuildHasher as _;
use tradewind_model::flow::{
    CONNECTION_START_TIME, DST_ENTITY, DST_IP, DST_NETWORK, DST_PORT, END_TIME, IS_LEAD, OBSERVER, OPENS, ORIENTATION,
    POST_NAT_DST_IP, POST_NAT_DST_PORT, POST_NAT_SRC_IP, POST_NAT_SRC_PORT, PROTOCOL_NUM, RECORD_KIND, SOURCE,
    SRC_ENTITY, SRC_IP, SRC_NETWORK, SRC_PORT, START_TIME, TCP_FLAGS, VANTAGE,
};
use tradewind_model::protocol::TCP;
use tradewind_model::protocol::tcp::{FIN, RST, SYN};
use tradewind_model::time::SECOND;
use tradewind_model::{FlowBatch, NULL_CODE, NULL_NUM, NumCol, TextCol};

/// The greatest number of sources that are told apart; all further ones count as one.
const SOURCES_MAX: usize = 255;
/// Odd, with ones and zeros mixed: from the digits of pi, as other hashes take theirs.
const MIX: [u64; 3] = [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7345, 0xa409_3822_299f_31d1];

/// How close to the destination an observer stands.
const RANK_UNKNOWN: u16 = 0;
const RANK_SOURCE: u16 = 1;
const RANK_BETWEEN: u16 = 2;
const RANK_DESTINATION: u16 = 3;

/// Multiplies to 128 bits and folds them: every bit of both numbers reaches every bit of the result.
#[inline]
#[allow(clippy::cast_possible_truncation)] // Both halves are taken.
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    (product >> 64) as u64 ^ product as u64
}

/// The codes of a text column and a value for each distinct text.
struct Texts<'a, T> {
    codes: Cow<'a, [u32]>,
    by_code: Vec<T>,
}

impl<'a, T: Copy> Texts<'a, T> {
    fn new(batch: &'a FlowBatch, column: TextCol, absent: T, mut value: impl FnMut(&str) -> T) -> Self {
        let column = batch.text(column);
        let by_code = std::iter::once(absent).chain(column.dictionary().iter().map(&mut value)).collect();
        Self { codes: column.codes(batch.len()), by_code }
    }

    #[inline]
    fn at(&self, row: usize) -> T {
        self.by_code[self.codes[row] as usize]
    }
}

/// What a `record_kind` tells of itself.
#[derive(Clone, Copy)]
struct Kind {
    tells: u16,
    is_request: bool,
}

/// One end of a flow.
struct End<'a> {
    ips: Texts<'a, u64>,
    networks: Texts<'a, u64>,
    ports: Cow<'a, [i64]>,
    /// Address and port after translation, where the batch has any.
    post_nat: Option<(Texts<'a, u64>, Cow<'a, [i64]>)>,
}

impl<'a> End<'a> {
    fn new(
        batch: &'a FlowBatch,
        hash: &FixedState,
        [ip, network, post_nat_ip]: [TextCol; 3],
        [port, post_nat_port]: [NumCol; 2],
    ) -> Self {
        let rows = batch.len();
        let hashed = |column| Texts::new(batch, column, 0, |text| hash.hash_one(text) | 1);
        let has_post_nat = batch.text(post_nat_ip).constant(rows) != Some(NULL_CODE);
        Self {
            ips: hashed(ip),
            networks: hashed(network),
            ports: batch.num(port).values(rows),
            post_nat: has_post_nat.then(|| (hashed(post_nat_ip), batch.num(post_nat_port).values(rows))),
        }
    }

    /// Hash of the end; 0 when its address is not known.
    #[inline]
    fn hash(&self, row: usize, uses_post_nat: bool) -> u64 {
        let (mut ip, mut port) = (self.ips.at(row), self.ports[row]);
        if uses_post_nat
            && let Some((ips, ports)) = &self.post_nat
            && ips.at(row) != 0
        {
            (ip, port) = (ips.at(row), ports[row]);
        }
        // Sources write an absent port as none or as 0.
        let port = if port == NULL_NUM { 0 } else { port.cast_unsigned() };
        if ip == 0 { 0 } else { fold(ip ^ self.networks.at(row).rotate_left(17), MIX[0] ^ (port << 20 | 1)) | 1 }
    }
}

/// All that is read of a batch.
pub(super) struct Columns<'a> {
    src: End<'a>,
    dst: End<'a>,
    protocols: Cow<'a, [i64]>,
    starts: Cow<'a, [i64]>,
    ends: Cow<'a, [i64]>,
    connection_starts: Option<Cow<'a, [i64]>>,
    flags: Option<Cow<'a, [i64]>>,
    kinds: Texts<'a, Kind>,
    sources: Texts<'a, u8>,
    source_hashes: Texts<'a, u64>,
    observers: Texts<'a, u64>,
    vantages: Texts<'a, u16>,
    orientations: Texts<'a, Orientation>,
    entities: [Texts<'a, u64>; 2],
    facts: Option<[Cow<'a, [i64]>; 2]>,
}

/// What `orientation` tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Orientation {
    Log,
    Strong,
    Port,
    Unknown,
}

impl<'a> Columns<'a> {
    /// Reads a batch. With `replays`, what its rows say of `opens` and `is_lead` are facts.
    pub(super) fn new(
        batch: &'a FlowBatch,
        settings: &ConnectSettings,
        source_numbers: &mut Vec<String>,
        replays: bool,
    ) -> Self {
        let rows = batch.len();
        let hash = FixedState::with_seed(settings.hash_seed);
        let hashed = |column| Texts::new(batch, column, 0, |text| hash.hash_one(text) | 1);
        let present = |column: NumCol| {
            let column = batch.num(column);
            (column.constant(rows) != Some(NULL_NUM)).then(|| column.values(rows))
        };
        Self {
            src: End::new(batch, &hash, [SRC_IP, SRC_NETWORK, POST_NAT_SRC_IP], [SRC_PORT, POST_NAT_SRC_PORT]),
            dst: End::new(batch, &hash, [DST_IP, DST_NETWORK, POST_NAT_DST_IP], [DST_PORT, POST_NAT_DST_PORT]),
            protocols: batch.num(PROTOCOL_NUM).values(rows),
            starts: batch.num(START_TIME).values(rows),
            ends: batch.num(END_TIME).values(rows),
            connection_starts: present(CONNECTION_START_TIME),
            flags: present(TCP_FLAGS),
            kinds: Texts::new(batch, RECORD_KIND, Kind { tells: 0, is_request: false }, |kind| match kind {
                "connection" => Kind { tells: tells::OPENING | tells::CLOSING | tells::WHOLE, is_request: false },
                "interval" => Kind { tells: tells::COARSE, is_request: false },
                kind => Kind { tells: 0, is_request: kind == "request" },
            }),
            sources: Texts::new(batch, SOURCE, 0, |source| source_number(source_numbers, source)),
            source_hashes: hashed(SOURCE),
            observers: hashed(OBSERVER),
            vantages: Texts::new(batch, VANTAGE, RANK_UNKNOWN, |vantage| match vantage {
                "destination" => RANK_DESTINATION,
                "source" => RANK_SOURCE,
                _ => RANK_BETWEEN,
            }),
            orientations: Texts::new(batch, ORIENTATION, Orientation::Unknown, |orientation| match orientation {
                "log" => Orientation::Log,
                "tcp_flags" | "other_half" => Orientation::Strong,
                "port" => Orientation::Port,
                _ => Orientation::Unknown,
            }),
            entities: [hashed(SRC_ENTITY), hashed(DST_ENTITY)],
            facts: replays.then(|| [OPENS, IS_LEAD].map(|column| batch.num(column).values(rows))),
        }
    }

    /// Hash of a row's tuple, never 0, and [`tells::SRC_IS_LOW`] where it is so. None without both addresses: such a row
    /// meets no other.
    #[inline]
    pub(super) fn key(&self, row: usize) -> Option<(u64, u16)> {
        let vantage = self.vantages.at(row);
        // A proxy beside the initiator opens the connection that others see from its own port; one beside the responder
        // hands it on over another that nobody else sees.
        let [src, dst] = [&self.src, &self.dst].map(|end| end.hash(row, vantage == RANK_SOURCE));
        if src == 0 || dst == 0 {
            return None;
        }
        let (low, high, is_low) = if src < dst { (src, dst, tells::SRC_IS_LOW) } else { (dst, src, 0) };
        let protocol = self.protocols[row].cast_unsigned();
        let key = fold(low ^ MIX[1], high.rotate_left(32) ^ fold(protocol | 1 << 40, MIX[2]));
        Some((key.max(1), is_low))
    }

    /// What a row shows of the connection with this key.
    #[inline]
    pub(super) fn observation(&self, row: usize, (key, side): (u64, u16)) -> Observation {
        let kind = self.kinds.at(row);
        let protocol = self.protocols[row];
        let mut seen = side | kind.tells;
        seen |= match (kind.is_request, protocol) {
            (true, _) => GAP_REQUEST,
            (false, TCP) => GAP_TCP,
            (false, _) => GAP_UDP,
        } << tells::GAP_SHIFT;
        if let Some(flags) = &self.flags
            && flags[row] != NULL_NUM
        {
            let flags = flags[row];
            seen |= if flags & SYN == 0 { 0 } else { tells::OPENING };
            seen |= if flags & (FIN | RST) == 0 { 0 } else { tells::CLOSING };
        }
        let mut start = self.starts[row];
        if let Some(starts) = &self.connection_starts
            && starts[row] != NULL_NUM
        {
            start = starts[row];
            seen = (seen | tells::OPENING) & !tells::COARSE;
        }
        let orientation = self.orientations.at(row);
        seen |= match orientation {
            Orientation::Port | Orientation::Unknown => tells::WEAK,
            _ if side & tells::SRC_IS_LOW != 0 => tells::LOW_OPENED,
            _ => tells::HIGH_OPENED,
        };
        seen |= self.vantages.at(row) << tells::RANK_SHIFT;
        if let Some([opens, leads]) = &self.facts {
            seen |= if opens[row] == 1 { tells::FRESH } else { 0 };
            seen |= if leads[row] == 1 { tells::COUNTED } else { 0 };
        }
        let start = seconds(start);
        Observation {
            key,
            edge: self.edge(row, orientation),
            row: u32::try_from(row).expect("a batch has fewer than 4 G rows"),
            start,
            end: seconds(self.ends[row]).max(start),
            observer: self.observer(row, orientation),
            tells: seen,
            source: self.sources.at(row),
        }
    }

    /// Hash of who saw a row. Where the log itself tells the ends, its vantage tells the two sides of a proxied connection
    /// apart though neither is named; elsewhere the vantage depends on how the row was oriented.
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // Any 32 bits of a hash do.
    fn observer(&self, row: usize, orientation: Orientation) -> u32 {
        let vantage = if orientation == Orientation::Log { self.vantages.at(row) } else { 0 };
        let hash = fold(self.observers.at(row) ^ MIX[0], self.source_hashes.at(row) ^ (u64::from(vantage) << 50) | 2);
        (hash >> 32) as u32 | 1
    }

    /// Hash of a row's edge, the same for both directions.
    #[inline]
    fn edge(&self, row: usize, orientation: Orientation) -> u64 {
        let [src, dst] = [self.entities[0].at(row), self.entities[1].at(row)];
        let port = if orientation != Orientation::Unknown { self.dst.ports[row].cast_unsigned() } else { 0 };
        let port = fold(port ^ MIX[0], self.protocols[row].cast_unsigned() ^ MIX[2]);
        fold(src.min(dst) ^ MIX[1], src.max(dst).rotate_left(32) ^ port)
    }
}

/// The second since 1970 in which a time lies; what does not fit is cut to what does.
#[inline]
fn seconds(micros: i64) -> u32 {
    u32::try_from((micros / SECOND).max(0)).unwrap_or(u32::MAX)
}

/// The number of a source, new if need be.
fn source_number(numbers: &mut Vec<String>, source: &str) -> u8 {
    let known = numbers.iter().position(|known| known == source);
    let number = known.unwrap_or_else(|| {
        if numbers.len() < SOURCES_MAX {
            numbers.push(source.to_owned());
        }
        numbers.len() - 1
    });
    u8::try_from(number).expect("fewer than SOURCES_MAX")
}

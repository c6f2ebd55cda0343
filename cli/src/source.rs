//! Opens one input: reads, unpacks, finds out the format and cuts it into chunks of whole records.
//!
//! Shared by `parse` and `import`. It writes nothing and knows no lake.

use anyhow::Context as _;
use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tradewind_formats::aws_vpc::decode_parquet;
use tradewind_formats::contract::{Decoded, Reason};
use tradewind_formats::detect::{Chosen, FormatChoice, Framing, HEAD_BYTES, UnknownFormat, choose, segments};
use tradewind_formats::framing::{ChunkSizes, Chunks, Piece, Records};
use tradewind_formats::unpack::{Limits, Packing, Unpacked};

/// What stands for standard input where a file is named.
pub(crate) const STANDARD_INPUT: &str = "-";
/// Rows of a Parquet file that are decoded at once.
const PARQUET_ROWS: usize = 64 * 1024;

type Bytes = Unpacked<Box<dyn Read + Send>>;

/// One input, opened: its first bytes were read, no record was.
#[derive(Debug)]
pub(crate) struct Source {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its records.
    pub(crate) chunks: Chunks<Bytes>,
    /// Its format, or why there is none.
    pub(crate) chosen: Result<Chosen, UnknownFormat>,
}

/// A `--input-format`: what [`FormatChoice`] reads, and `mapping:FILE`, whose file is read here.
///
/// # Errors
/// What cannot be used, for a person.
pub(crate) fn input_format(text: &str) -> Result<FormatChoice, String> {
    const MAPPING: &str = "mapping:";
    /// More than any mapping that is taken.
    const MAPPING_BYTES_MAX: u64 = 1 << 20;
    let Some(path) = text.strip_prefix(MAPPING).filter(|path| !path.contains('\n')) else {
        return text.parse().map_err(|error: tradewind_formats::detect::FormatChoiceError| error.to_string());
    };
    let mut mapping = String::new();
    File::open(path)
        .and_then(|file| file.take(MAPPING_BYTES_MAX).read_to_string(&mut mapping))
        .map_err(|error| format!("the mapping `{path}` cannot be read: {error}"))?;
    let read = format!("{MAPPING}{mapping}").parse::<FormatChoice>();
    read.map_err(|error| format!("the mapping `{path}`: {error}"))
}

/// Opens a file, or standard input for `-`.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn open(path: &Path, wanted: &FormatChoice) -> anyhow::Result<Source> {
    let opened = if path == Path::new(STANDARD_INPUT) {
        Ok(Box::new(io::stdin()) as Box<dyn Read + Send>)
    } else {
        open_file(path).map(|file| Box::new(file) as Box<dyn Read + Send>)
    };
    let reader = opened.with_context(|| format!("failed to read {}", path.display()))?;
    from_reader(path, reader, ChunkSizes::default(), wanted)
}

/// Opens what `reader` gives; `path` is what it is called.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn from_reader(
    path: &Path,
    reader: Box<dyn Read + Send>,
    sizes: ChunkSizes,
    wanted: &FormatChoice,
) -> anyhow::Result<Source> {
    let bytes =
        Unpacked::new(reader, Limits::default()).with_context(|| format!("failed to read {}", path.display()))?;
    let mut chunks = Chunks::new(bytes, Records::Lines, sizes);
    let chosen = choose(chunks.head(HEAD_BYTES), wanted);
    if let Ok(chosen) = &chosen
        && let Framing::Text(records) = chosen.framing
    {
        chunks.set_records(records);
        chunks.skip(chosen.skip);
    }
    Ok(Source { path: path.to_owned(), chunks, chosen })
}

fn open_file(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory; name the files in it"));
    }
    Ok(file)
}

impl Source {
    /// Decodes everything, part by part. `sink` gets each part and may change it; it is emptied afterwards. What cannot
    /// be read as a record is in the parts as rejects, an input without a known format as one reject.
    ///
    /// # Errors
    /// Those of `sink`, and when the input cannot be read on.
    pub(crate) fn decode(mut self, sink: &mut dyn FnMut(&mut Decoded) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let path = self.path.clone();
        match &self.chosen {
            Ok(chosen) if chosen.framing == Framing::Parquet => self.decode_parquet(sink),
            Ok(chosen) => {
                let chosen = chosen.clone();
                self.decode_text(chosen, sink)
            }
            Err(UnknownFormat::Empty) => self.decode_nothing(sink),
            Err(unknown) => {
                let mut decoded = Decoded::default();
                let detail = unknown.to_string();
                decoded.reject(Reason::UnknownFormat, detail, 0, self.chunks.head(HEAD_BYTES));
                sink(&mut decoded)
            }
        }
        .with_context(|| format!("failed to read {}", path.display()))
    }

    fn decode_text(
        &mut self,
        chosen: Chosen,
        sink: &mut dyn FnMut(&mut Decoded) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut format = Arc::clone(&chosen.format);
        let mut decoded = Decoded::default();
        let mut chunk = Vec::new();
        while let Some(piece) = self.chunks.next(&mut chunk)? {
            match piece {
                Piece::Records { offset } if chosen.has_headers => {
                    for (range, layout) in segments(&chunk, &format) {
                        layout.decode(&chunk[range.clone()], offset + range.start as u64, &mut decoded);
                        format = layout;
                    }
                }
                Piece::Records { offset } => format.decode(&chunk, offset, &mut decoded),
                Piece::Reject(reject) => add_reject(&mut decoded, reject),
            }
            sink(&mut decoded)?;
            decoded.clear();
        }
        Ok(())
    }

    /// An input that seems empty may be one that could not be unpacked.
    fn decode_nothing(&mut self, sink: &mut dyn FnMut(&mut Decoded) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let mut decoded = Decoded::default();
        while let Some(piece) = self.chunks.next(&mut Vec::new())? {
            if let Piece::Reject(reject) = piece {
                add_reject(&mut decoded, reject);
            }
        }
        sink(&mut decoded)
    }

    /// Parquet is read from its end: from a file, or from a copy of it where it is packed or comes from standard input.
    fn decode_parquet(&mut self, sink: &mut dyn FnMut(&mut Decoded) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let is_file = self.path != Path::new(STANDARD_INPUT);
        if is_file && self.chunks.source().packing() == Packing::None {
            return decode_parquet(open_file(&self.path)?, PARQUET_ROWS, sink);
        }
        let mut copy = tempfile::tempfile().context("failed to make a temporary file")?;
        if is_file {
            let mut bytes = Unpacked::new(open_file(&self.path)?, Limits::default())?;
            io::copy(&mut bytes, &mut copy)?;
        } else {
            let mut chunk = Vec::new();
            while let Some(piece) = self.chunks.next(&mut chunk)? {
                match piece {
                    Piece::Records { .. } => io::Write::write_all(&mut copy, &chunk)?,
                    Piece::Reject(reject) => {
                        let mut decoded = Decoded::default();
                        add_reject(&mut decoded, reject);
                        return sink(&mut decoded);
                    }
                }
            }
        }
        copy.rewind()?;
        decode_parquet(copy, PARQUET_ROWS, sink)
    }
}

/// The bytes of a Parquet file, unpacked into a temporary file where `file` is packed.
///
/// # Errors
/// When it cannot be read or unpacked.
pub(crate) fn parquet_file(source: &Source, file: File) -> anyhow::Result<File> {
    if source.chunks.source().packing() == Packing::None {
        return Ok(file);
    }
    let mut copy = tempfile::tempfile().context("failed to make a temporary file")?;
    io::copy(&mut Unpacked::new(file, Limits::default())?, &mut copy)?;
    copy.rewind()?;
    Ok(copy)
}

fn add_reject(decoded: &mut Decoded, reject: tradewind_formats::Reject) {
    decoded.reject_bytes += reject.bytes.len() + reject.detail.len();
    decoded.rejects.push(reject);
    decoded.counts.rejected += 1;
    decoded.counts.records += 1;
}

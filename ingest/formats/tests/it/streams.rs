//! Unpacking and cutting of streams: truncated, damaged, hostile and merely unusual ones.

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use std::io::{self, Cursor, Read, Write};
use tradewind_formats::framing::{ChunkSizes, Chunks, Piece, Records};
use tradewind_formats::unpack::{Limits, Packing, UnpackError, Unpacked};
use tradewind_formats::{Reason, Reject};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.into_inner().unwrap()
}

/// Whole records with their offsets, and rejects, of a stream.
#[derive(Debug, Default)]
struct Seen {
    chunks: Vec<(u64, Vec<u8>)>,
    rejects: Vec<Reject>,
}

impl Seen {
    fn bytes(&self) -> Vec<u8> {
        self.chunks.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect()
    }
}

fn read<R: Read>(mut chunks: Chunks<R>) -> io::Result<Seen> {
    let (mut seen, mut buffer) = (Seen::default(), Vec::new());
    while let Some(piece) = chunks.next(&mut buffer)? {
        match piece {
            Piece::Records { offset } => seen.chunks.push((offset, buffer.clone())),
            Piece::Reject(reject) => seen.rejects.push(reject),
        }
        assert!(buffer.capacity() <= 64 * 1024 * 1024, "memory is bounded");
    }
    Ok(seen)
}

fn unpack(bytes: &[u8]) -> Seen {
    read(Chunks::lines(Unpacked::new(bytes, Limits::default()).unwrap())).unwrap()
}

fn lines(count: usize) -> Vec<u8> {
    (0..count)
        .flat_map(|line| format!("line {line} of the log, number {}\n", line * 7919 % 1000).into_bytes())
        .collect()
}

#[test]
fn every_packing_gives_the_same_lines() {
    let text = lines(100_000);
    let (head, tail) = text.split_at(text.len() / 3);
    let members = [gzip(head), gzip(b""), gzip(tail)].concat();
    let frames = [zstd(head), zstd(tail)].concat();
    let streams = [snappy(head), snappy(b""), snappy(tail)].concat();
    for (packed, packing) in [
        (text.clone(), Packing::None),
        (gzip(&text), Packing::Gzip),
        (members, Packing::Gzip),
        (zstd(&text), Packing::Zstd),
        (frames, Packing::Zstd),
        (snappy(&text), Packing::Snappy),
        (streams, Packing::Snappy),
    ] {
        assert_eq!(Packing::of(&packed), packing);
        let mut unpacked = Unpacked::new(packed.as_slice(), Limits::default()).unwrap();
        let mut out = Vec::new();
        unpacked.read_to_end(&mut out).unwrap();
        assert!(out == text);
        assert_eq!(unpacked.unpacked_bytes(), text.len() as u64);
        assert_eq!(unpacked.packed_bytes(), packed.len() as u64);
        let seen = unpack(&packed);
        assert!(seen.bytes() == text);
        assert_eq!(seen.rejects, []);
        assert!(seen.chunks.len() > 2 && seen.chunks.iter().all(|(_, chunk)| chunk.ends_with(b"\n")));
    }
}

#[test]
fn a_cut_stream_gives_what_was_whole_and_a_reject() {
    let text = lines(100_000);
    for packed in [gzip(&text), zstd(&text), snappy(&text)] {
        for cut in [packed.len() / 2, packed.len() - 1] {
            let seen = unpack(&packed[..cut]);
            let whole = seen.bytes();
            assert!(text.starts_with(&whole));
            assert!(whole.ends_with(b"\n") && whole.len() > text.len() / 4);
            let [reject] = seen.rejects.as_slice() else { panic!("{:?}", seen.rejects) };
            assert_eq!((reject.reason, reject.offset), (Reason::TruncatedInput, whole.len() as u64));
            assert!(text[whole.len()..].starts_with(&reject.bytes));
            assert!(reject.detail.contains("ends in the middle"), "{}", reject.detail);
        }
        // A head that is cut before anything could be unpacked is told too.
        assert_eq!(unpack(&packed[..12]).rejects[0].reason, Reason::TruncatedInput);
    }
}

#[test]
fn a_damaged_stream_is_told_apart_from_a_cut_one() {
    let text = lines(100_000);
    for packed in [gzip(&text), zstd(&text), snappy(&text)] {
        let mut damaged = packed.clone();
        let middle = packed.len() / 2;
        damaged[middle..middle + 64].fill(0xff);
        let seen = unpack(&damaged);
        assert_eq!(seen.rejects.len(), 1);
        assert_eq!(seen.rejects[0].reason, Reason::CorruptInput, "{}", seen.rejects[0].detail);
    }
    for packed in [gzip(&text), snappy(&text)] {
        let trailing = [packed, b"\x02this is no more of what was packed".to_vec()].concat();
        let seen = unpack(&trailing);
        assert!(seen.bytes() == text);
        assert_eq!(seen.rejects[0].reason, Reason::CorruptInput);
    }
    // The checksum at the end is wrong though every byte could be unpacked.
    let mut sum = gzip(&text);
    let at = sum.len() - 6;
    sum[at] ^= 1;
    assert_eq!(unpack(&sum).rejects[0].reason, Reason::CorruptInput);
}

#[test]
fn bombs_stop_at_the_limit() {
    let limits = Limits { ratio_max: 250, unpacked_bytes_max: 8 * 1024 * 1024 };
    let zeros = vec![b'0'; 64 * 1024 * 1024];
    let mut rows = lines(1);
    rows.resize(64 * 1024 * 1024, b'\n');
    for packed in [gzip(&zeros), zstd(&zeros), gzip(&rows)] {
        let mut unpacked = Unpacked::new(packed.as_slice(), limits).unwrap();
        let error = io::copy(&mut unpacked, &mut io::sink()).unwrap_err();
        assert!(matches!(UnpackError::of(&error), Some(UnpackError::Limit { .. })), "{error}");
        assert!(unpacked.unpacked_bytes() < 12 * 1024 * 1024);
        let seen = read(Chunks::lines(Unpacked::new(packed.as_slice(), limits).unwrap())).unwrap();
        assert_eq!(seen.rejects.last().unwrap().reason, Reason::DecompressionLimit);
    }
    // Snappy makes 64 KiB of 3 KiB at best, which no default refuses.
    let mut unpacked = Unpacked::new(io::Cursor::new(snappy(&zeros)), Limits { ratio_max: 4, ..limits }).unwrap();
    let error = io::copy(&mut unpacked, &mut io::sink()).unwrap_err();
    assert!(matches!(UnpackError::of(&error), Some(UnpackError::Limit { .. })), "{error}");
    assert_eq!(unpack(&snappy(&zeros[..1024 * 1024])).bytes().len(), 1024 * 1024);
    // Under one of both limits nothing stops.
    let small = gzip(&zeros[..4 * 1024 * 1024]);
    let mut unpacked = Unpacked::new(small.as_slice(), limits).unwrap();
    assert_eq!(io::copy(&mut unpacked, &mut io::sink()).unwrap(), 4 * 1024 * 1024);
    assert!(small.len() * 250 < 4 * 1024 * 1024);
}

#[test]
fn a_line_of_100_mb_is_skipped() {
    let long = io::repeat(b'x').take(100_000_000);
    let stream = Cursor::new(b"first\n".to_vec()).chain(long).chain(Cursor::new(b"\nlast\n".to_vec()));
    let seen = read(Chunks::lines(stream)).unwrap();
    assert_eq!(seen.bytes(), b"first\nlast\n");
    assert_eq!(seen.chunks.last().unwrap().0, 100_000_007);
    let [reject] = seen.rejects.as_slice() else { panic!("{:?}", seen.rejects.len()) };
    assert_eq!((reject.reason, reject.offset, reject.length), (Reason::RecordTooLong, 6, 100_000_001));
    assert_eq!(reject.bytes.len(), 64 * 1024);
}

#[test]
fn ends_and_beginnings() {
    let check = |text: &[u8], expected: &[u8], offset: u64| {
        let seen = read(Chunks::lines(text)).unwrap();
        assert_eq!(seen.bytes(), expected);
        assert_eq!(seen.chunks.first().map_or(0, |(offset, _)| *offset), offset);
        assert_eq!(seen.rejects, []);
    };
    check(b"", b"", 0);
    check(b"a\nhalf", b"a\nhalf", 0);
    check(b"a\r\nb\r\n", b"a\r\nb\r\n", 0);
    check(b"\xef\xbb\xbfa\n", b"a\n", 3);
    check(b"\xef\xbb\xbf", b"", 0);
    check(b"\xef\xbb", b"\xef\xbb", 0);
}

#[test]
fn the_head_is_seen_and_read_again() {
    let text = lines(10_000);
    let mut chunks = Chunks::lines(text.as_slice());
    assert_eq!(chunks.head(64 * 1024), &text[..64 * 1024]);
    chunks.skip(text.iter().position(|&byte| byte == b'\n').unwrap() + 1);
    let seen = read(chunks).unwrap();
    let first = seen.chunks[0].0 as usize;
    assert!(first > 0 && seen.bytes() == text[first..]);
}

#[test]
fn an_error_of_the_source_is_no_reject() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("disk"))
        }
    }
    for source in [b"a\nhalf".to_vec(), gzip(&lines(10))[..20].to_vec(), snappy(&lines(10))[..20].to_vec()] {
        let stream = Cursor::new(source).chain(Fails);
        let error = read(Chunks::lines(Unpacked::new(stream, Limits::default()).unwrap())).unwrap_err();
        assert_eq!(error.to_string(), "disk");
    }
    let mut chunks = Chunks::lines(Cursor::new(b"a\nhalf".to_vec()).chain(Fails));
    let mut buffer = Vec::new();
    assert_eq!(chunks.next(&mut buffer).unwrap(), Some(Piece::Records { offset: 0 }));
    assert_eq!(buffer, b"a\n");
    assert!(chunks.next(&mut buffer).is_err());
}

/// Gives out few bytes at a time.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.1.min(buffer.len()).min(self.0.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

#[test]
fn elements_frames_and_parted_lines_are_kept_whole() {
    let (part, full) = ("2016-10-06T00:17:09Z stdout P ab\n", "2016-10-06T00:17:09Z stdout F c\n");
    let check = |records, text: &str, expected: &[&str]| {
        let sizes = ChunkSizes { chunk_bytes: 1, record_bytes_max: 1000 };
        for step in [1, 7, 1000] {
            let seen = read(Chunks::new(Slow(text.as_bytes(), step), records, sizes)).unwrap();
            let chunks: Vec<_> = seen.chunks.iter().map(|(_, bytes)| str::from_utf8(bytes).unwrap()).collect();
            assert_eq!(chunks, expected);
        }
    };
    check(Records::JsonObjects, "[{\"a\":[1]},\n{\"b\":2}\n]\n", &["[{\"a\":[1]}", ",\n{\"b\":2}", "\n]\n"]);
    check(Records::OctetCounted, "3 a\nb2 cd\n4 efgh", &["3 a\nb", "2 cd", "\n4 efgh"]);
    let group = [part, part, full].concat();
    check(Records::ContainerLines, &[&group, full].concat(), &[&group, full]);
}

#[test]
fn parted_lines_that_are_too_long_or_never_end_cost_no_more_than_themselves() {
    let (part, other) = ("2016-10-06T00:17:09Z stdout P ab\n", "2016-10-06T00:17:09Z stderr F c\n");
    let sizes = ChunkSizes { chunk_bytes: 10, record_bytes_max: 80 };
    let text = [part, part, part, part, other, "end\n"].concat();
    let seen = read(Chunks::new(text.as_bytes(), Records::ContainerLines, sizes)).unwrap();
    assert!(seen.rejects.iter().all(|reject| reject.reason == Reason::RecordTooLong), "{:?}", seen.rejects);
    assert!(seen.bytes().ends_with(b"end\n"));
    // Memory is bounded by the wait for the end of a line, not by the longest record.
    let endless = [part.to_owned(), other.repeat(200_000)].concat();
    let seen = read(Chunks::new(endless.as_bytes(), Records::ContainerLines, ChunkSizes::default())).unwrap();
    assert!(seen.bytes() == endless.as_bytes() && seen.chunks.len() > 3);
    // A frame that says it is long is passed over without being held.
    let sizes = ChunkSizes { chunk_bytes: 1024, record_bytes_max: 4096 };
    let long = io::repeat(b'x').take(90_000_000);
    let stream = Cursor::new(b"2 ab90000000 ".to_vec()).chain(long).chain(Cursor::new(b"2 cd".to_vec()));
    let seen = read(Chunks::new(stream, Records::OctetCounted, sizes)).unwrap();
    assert_eq!(seen.bytes(), b"2 ab2 cd");
    assert_eq!((seen.rejects[0].offset, seen.rejects[0].length), (4, 90_000_009));
}

proptest! {
    #[test]
    fn nothing_is_lost_between_chunks(
        text in proptest::collection::vec(prop_oneof![4 => Just(b'\n'), 1 => any::<u8>(), 1 => Just(b'3'), 1 => Just(b' '), 1 => Just(b'['), 6 => b'a'..=b'z', 1 => Just(b'"'), 1 => Just(b'\\'), 2 => Just(b'{'), 2 => Just(b'}')], 0..600),
        chunk_bytes in 1usize..80,
        record_bytes_max in 1usize..60,
        step in 1usize..50,
        records in prop::sample::select(vec![Records::Lines, Records::JsonObjects, Records::ContainerLines, Records::OctetCounted]),
    ) {
        let sizes = ChunkSizes { chunk_bytes, record_bytes_max };
        let seen = read(Chunks::new(Slow(&text, step), records, sizes)).unwrap();
        // Chunks and rejects, in order of offset, are the whole text.
        let mut pieces: Vec<(u64, u64, &[u8])> =
            seen.chunks.iter().map(|(offset, bytes)| (*offset, bytes.len() as u64, bytes.as_slice())).collect();
        pieces.extend(seen.rejects.iter().map(|reject| (reject.offset, reject.length, reject.bytes.as_slice())));
        pieces.sort_unstable();
        let mut next = 0;
        for (offset, length, bytes) in pieces {
            prop_assert_eq!(offset, next);
            prop_assert!(text[offset as usize..].starts_with(bytes));
            next += length;
        }
        prop_assert_eq!(next, text.len() as u64);
        if records == Records::Lines {
            for (_, chunk) in &seen.chunks {
                // What ends a line is not counted.
                for line in chunk.split(|&byte| byte == b'\n') {
                    prop_assert!(line.len() <= record_bytes_max.max(chunk_bytes), "{} bytes", line.len());
                }
            }
            prop_assert!(seen.rejects.iter().all(|reject| reject.length > record_bytes_max as u64));
        }
    }

    #[test]
    fn no_bytes_make_unpacking_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), packing in 0..4) {
        let head: &[u8] =
            [&b"\x1f\x8b\x08\0"[..], b"\x28\xb5\x2f\xfd", b"\xff\x06\0\0sNaPpY", b""][packing as usize];
        let bytes = [head, &bytes].concat();
        unpack(&bytes);
    }
}

//! Writes AWS VPC flow log lines in the default layout (version 2), as S3 delivery has them: a header line first.
//!
//! Each capture window of 60 seconds holds the conversations of that minute in no order, as the service delivers them.
//! Both directions of a conversation are lines of their own, at each interface whose subnet is logged.

use crate::estate::{Edge, Estate, ephemeral_port};
use crate::random::Random;
use crate::tally::{Counts, Tally};
use std::io::{self, Write};

/// The default layout in its order (AWS, "Flow log records").
const HEADER: &[u8] =
    b"version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n";
/// 2026-01-15 08:00:00 UTC.
const START: u64 = 1_768_464_000;
const WINDOW_SECONDS: u32 = 60;
/// 5 million lines cover 90 minutes.
const LINES_PER_WINDOW: u64 = 55_556;
/// Lines that a stream makes at a time.
const STREAM_LINES: u64 = 20_000;
const TCP: u8 = 6;
const ICMP: u8 = 1;

/// One connection, alive in one window or several.
#[derive(Clone, Copy, Debug)]
struct Conversation {
    edge: Edge,
    client: usize,
    server: usize,
    client_port: u16,
    server_port: u16,
    protocol: u8,
    is_rejected: bool,
}

/// One line to be: the interface that saw it and the packets of one direction.
#[derive(Clone, Copy, Debug)]
struct Line {
    interface: usize,
    src: (usize, u16),
    dst: (usize, u16),
    protocol: u8,
    is_rejected: bool,
    /// `None`: the row says that nothing was captured; `true` in it: that records were skipped.
    counters: Result<(u64, u64), bool>,
    start_offset: u32,
    end_offset: u32,
}

/// Writes a header and `lines` lines. The same seed gives the same bytes.
pub(crate) fn write(out: &mut impl Write, lines: u64, seed: u64) -> io::Result<Counts> {
    let mut random = Random::new(seed);
    let estate = Estate::new(&mut random);
    let mut tally = Tally::new(estate.instances.len());
    let (mut live, mut window, mut text) = (Vec::new(), Vec::new(), Vec::new());
    out.write_all(HEADER)?;
    tally.bytes = HEADER.len() as u64;
    for start in (START..).step_by(WINDOW_SECONDS as usize) {
        let wanted = LINES_PER_WINDOW.min(lines - tally.lines);
        fill(&mut window, &mut live, wanted, &estate, &mut random);
        text.clear();
        for line in &window {
            push_line(&mut text, line, &estate, start);
            match line.counters {
                Ok(_) => tally.note(line.src, line.dst),
                Err(_) => tally.gaps += 1,
            }
        }
        tally.lines += window.len() as u64;
        tally.bytes += text.len() as u64;
        out.write_all(&text)?;
        if tally.lines == lines {
            break;
        }
    }
    out.flush()?;
    Ok(tally.counts())
}

/// Lines without end, of the same network, as they come: each is of the second that is said.
#[derive(Debug)]
pub(crate) struct Stream {
    random: Random,
    pub(crate) estate: Estate,
    live: Vec<Conversation>,
    window: Vec<Line>,
}

impl Stream {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let estate = Estate::new(&mut random);
        Self { random, estate, live: Vec::new(), window: Vec::new() }
    }

    /// Adds so many lines of flows that ended in that second since 1970.
    pub(crate) fn push(&mut self, text: &mut Vec<u8>, count: u64, second: u64) {
        for _ in 0..count {
            while self.window.last().is_none_or(|line| line.counters.is_err()) {
                if self.window.pop().is_none() {
                    fill(&mut self.window, &mut self.live, STREAM_LINES, &self.estate, &mut self.random);
                }
            }
            let Some(line) = self.window.pop() else { return };
            let line = Line { start_offset: line.start_offset % 2, end_offset: 1, ..line };
            push_line(text, &line, &self.estate, second.saturating_sub(1));
        }
    }
}

/// Makes the lines of one window: connections that are still open, then new ones.
fn fill(window: &mut Vec<Line>, live: &mut Vec<Conversation>, wanted: u64, estate: &Estate, random: &mut Random) {
    let wanted = usize::try_from(wanted).expect("a window has few lines");
    window.clear();
    for conversation in live.iter() {
        report(window, conversation, true, estate, random);
    }
    live.retain(|_| !random.permille(200));
    while window.len() < wanted {
        if random.permille(14) {
            window.push(gap(estate, random));
            continue;
        }
        let conversation = open(estate, random);
        report(window, &conversation, false, estate, random);
        if conversation.protocol == TCP && !conversation.is_rejected && random.permille(40) {
            live.push(conversation);
        }
    }
    window.truncate(wanted);
    for index in (1..window.len()).rev() {
        window.swap(index, random.index(index + 1));
    }
}

fn open(estate: &Estate, random: &mut Random) -> Conversation {
    let edge = estate.draw_edge(random);
    let (server_port, protocol) =
        edge.server.map_or((443, TCP), |server| (estate.services[server].port, estate.services[server].protocol));
    let is_ping = random.permille(2);
    Conversation {
        edge,
        client: estate.draw_instance(Some(edge.client), random),
        server: estate.draw_instance(edge.server, random),
        client_port: if is_ping { 0 } else { ephemeral_port(random) },
        server_port: if is_ping { 0 } else { server_port },
        protocol: if is_ping { ICMP } else { protocol },
        is_rejected: random.permille(4),
    }
}

/// Adds the lines that one conversation gives in one window.
fn report(window: &mut Vec<Line>, conversation: &Conversation, is_old: bool, estate: &Estate, random: &mut Random) {
    let edge = conversation.edge;
    let client = (conversation.client, conversation.client_port);
    let server = (conversation.server, conversation.server_port);
    let start_offset = if is_old { random.below(4) } else { random.below(WINDOW_SECONDS - 2) };
    let end_offset = if is_old {
        WINDOW_SECONDS - 1 - random.below(4)
    } else {
        start_offset + random.below(WINDOW_SECONDS - start_offset)
    };
    let line = |interface, src, dst, counters| {
        let Conversation { protocol, is_rejected, .. } = *conversation;
        Line { interface, src, dst, protocol, is_rejected, counters: Ok(counters), start_offset, end_offset }
    };
    let is_server_logged = edge.server.is_some_and(|server| estate.services[server].logged);
    if conversation.is_rejected {
        // The security group of the side that logs dropped a few opening packets; nothing came back.
        let packets = u64::from(1 + random.below(3));
        let interface = if is_server_logged { conversation.server } else { conversation.client };
        window.push(line(interface, client, server, (packets, packets * 60)));
        return;
    }
    let packets_out = random.log_normal(edge.packets_log2, 1100).max(1);
    let packets_in = (packets_out * u64::from(700 + random.below(600)) / 1000).max(1);
    let bytes = |packets: u64, mean: u32, random: &mut Random| {
        packets * (40 + u64::from(mean) * u64::from(500 + random.below(1000)) / 1000)
    };
    let sent = (packets_out, bytes(packets_out, edge.packet_bytes.0, random));
    let received = (packets_in, bytes(packets_in, edge.packet_bytes.1, random));
    for (interface, is_logged) in
        [(conversation.client, estate.services[edge.client].logged), (conversation.server, is_server_logged)]
    {
        if is_logged {
            window.push(line(interface, client, server, sent));
            window.push(line(interface, server, client, received));
        }
    }
}

fn gap(estate: &Estate, random: &mut Random) -> Line {
    let interface = random.index(estate.inside);
    Line {
        interface,
        src: (interface, 0),
        dst: (interface, 0),
        protocol: 0,
        is_rejected: false,
        counters: Err(random.permille(100)),
        start_offset: 0,
        end_offset: WINDOW_SECONDS - 1,
    }
}

fn push_line(text: &mut Vec<u8>, line: &Line, estate: &Estate, window: u64) {
    text.extend_from_slice(b"2 123456789010 ");
    text.extend_from_slice(estate.instances[line.interface].interface.as_bytes());
    text.push(b' ');
    let (start, end) = (window + u64::from(line.start_offset), window + u64::from(line.end_offset));
    match line.counters {
        Ok((packets, bytes)) => {
            text.extend_from_slice(estate.instances[line.src.0].address.as_bytes());
            text.push(b' ');
            text.extend_from_slice(estate.instances[line.dst.0].address.as_bytes());
            let numbers = [line.src.1.into(), line.dst.1.into(), line.protocol.into(), packets, bytes, start, end];
            for number in numbers {
                text.push(b' ');
                push_number(text, number);
            }
            text.extend_from_slice(if line.is_rejected { b" REJECT OK\n" } else { b" ACCEPT OK\n" });
        }
        Err(is_skipped) => {
            text.extend_from_slice(b"- - - - - - - ");
            push_number(text, start);
            text.push(b' ');
            push_number(text, end);
            text.extend_from_slice(if is_skipped { b" - SKIPDATA\n" } else { b" - NODATA\n" });
        }
    }
}

/// Adds a number in decimal. The standard formatter takes several times as long, which five million lines make felt.
pub(crate) fn push_number(text: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + u8::try_from(number % 10).expect("a digit fits");
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[first..]);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn made(lines: u64, seed: u64) -> (String, Counts) {
        let mut out = Vec::new();
        let counts = write(&mut out, lines, seed).unwrap();
        (String::from_utf8(out).unwrap(), counts)
    }

    #[test]
    fn same_seed_same_bytes() {
        assert_eq!(made(20_000, 1), made(20_000, 1));
        assert_ne!(made(20_000, 1).0, made(20_000, 2).0);
    }

    #[test]
    fn counts_are_those_of_the_text() {
        let (text, counts) = made(120_000, 1);
        let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split(' ').collect()).collect();
        assert_eq!(rows.len(), 120_000);
        assert!(rows.iter().all(|row| row.len() == 14));
        assert_eq!(counts.lines, 120_000);
        assert_eq!(counts.bytes, text.len() as u64);
        let distinct = |columns: &[usize]| {
            let flows = rows.iter().filter(|row| row[13] == "OK");
            flows
                .flat_map(|row| columns.iter().map(|&column| row[column]))
                .collect::<std::collections::HashSet<_>>()
                .len()
        };
        assert_eq!(distinct(&[3, 4]), counts.addresses as usize);
        assert_eq!(distinct(&[5, 6]), counts.ports as usize);
        let pairs: std::collections::HashSet<_> =
            rows.iter().filter(|row| row[13] == "OK").map(|row| (row[3], row[4])).collect();
        assert_eq!(pairs.len(), counts.pairs as usize);
        let gaps = rows.iter().filter(|row| row[13] != "OK").count() as u64;
        assert_eq!(gaps, counts.gaps);
    }

    #[test]
    fn shares_are_realistic() {
        let (text, counts) = made(120_000, 1);
        let share = |needle: &str| text.lines().filter(|line| line.contains(needle)).count();
        assert!((400..800).contains(&counts.gaps), "0.5 % of gaps: {}", counts.gaps);
        assert!((50..600).contains(&share(" REJECT ")), "few are rejected: {}", share(" REJECT "));
        assert!((1..6_000).contains(&share("203.0.113.")), "few go outside: {}", share("203.0.113."));
        assert!((100..125).contains(&(counts.bytes / counts.lines)), "{} bytes a line", counts.bytes / counts.lines);
    }

    #[test]
    fn every_answer_has_its_request() {
        let (text, _) = made(60_000, 1);
        let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split(' ').collect()).collect();
        let seen: std::collections::HashSet<_> =
            rows.iter().map(|row| (row[2], row[3], row[4], row[5], row[6])).collect();
        let accepted: Vec<_> = rows.iter().filter(|row| row[12] == "ACCEPT").collect();
        let answered = accepted.iter().filter(|row| seen.contains(&(row[2], row[4], row[3], row[6], row[5]))).count();
        // Only where the data set was cut may one half be missing.
        assert!(answered + 4 >= accepted.len(), "{answered} of {}", accepted.len());
    }

    #[test]
    fn a_stream_is_of_its_second() {
        let (mut stream, mut text) = (Stream::new(1), Vec::new());
        stream.push(&mut text, 30_000, 1_800_000_000);
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.lines().count(), 30_000);
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            assert!(["1799999999", "1800000000"].contains(&words[10]), "{line}");
            assert_eq!((words[11], words[13]), ("1800000000", "OK"), "{line}");
        }
    }

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 7, 10, 65_535, u64::MAX] {
            let mut text = Vec::new();
            push_number(&mut text, number);
            assert_eq!(String::from_utf8(text).unwrap(), number.to_string());
        }
    }
}

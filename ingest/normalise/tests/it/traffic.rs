//! Made traffic as a decoder of VPC flow logs leaves it: both directions of each connection, of which half are the wrong
//! way round.

use tradewind_model::FlowBatch;
use tradewind_model::flow::*;
use tradewind_model::time::SECOND;
use tradewind_normalise::{Context, Inventory, Normaliser, Settings};

/// When all of it happened.
pub(crate) const BEGIN: i64 = 1_767_225_600 * SECOND;
pub(crate) const CONTEXT: Context = Context { ingest_time: BEGIN + 7_200 * SECOND, retention: None };

/// Numbers that look random and are the same each time (Vigna, "splitmix64").
#[derive(Clone, Debug)]
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn number_below(&mut self, limit: u64) -> i64 {
        i64::try_from(self.below(limit)).unwrap()
    }
}

/// What a test varies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    pub(crate) rows: usize,
    pub(crate) addresses: u64,
    /// Whether each record tells the VPC of its own interface.
    pub(crate) has_networks: bool,
}

fn address(number: u64, addresses: u64) -> String {
    let (high, low) = (number / 250, number % 250 + 1);
    if number * 10 > addresses * 9 {
        format!("203.{}.{}.{low}", high >> 8, high & 255)
    } else {
        format!("10.{}.{}.{low}", high >> 8, high & 255)
    }
}

/// The rows from number `skip` on, as a decoder would give them.
pub(crate) fn batch(traffic: Traffic, skip: usize) -> FlowBatch {
    const SERVICES: [i64; 8] = [443, 5_432, 6_379, 8_080, 9_092, 53, 3_306, 50_051];
    let mut numbers = Numbers(7);
    let mut batch = FlowBatch::default();
    for row in 0..traffic.rows {
        let client = numbers.below(traffic.addresses);
        let server = numbers.below(traffic.addresses / 10 + 1);
        let client = (address(client, traffic.addresses), 32_768 + numbers.number_below(28_000));
        let server = (address(server, traffic.addresses), SERVICES[(server % 8) as usize]);
        let is_answer = numbers.below(2) == 1;
        let flags = if is_answer { [18, 19, 0][row % 3] } else { [2, 3, 0][row % 3] };
        let start = BEGIN + numbers.number_below(3_600) * SECOND;
        let (packets, bytes) = (numbers.number_below(1_000), numbers.number_below(1_000_000));
        if row < skip {
            continue;
        }
        let (src, dst) = if is_answer { (server, client) } else { (client, server) };
        batch.set_text(SRC_IP, &src.0);
        batch.set_num(SRC_PORT, src.1);
        batch.set_text(DST_IP, &dst.0);
        batch.set_num(DST_PORT, dst.1);
        batch.set_num(START_TIME, start);
        batch.set_num(END_TIME, start + 60 * SECOND);
        batch.set_num(PACKETS_OUT, packets);
        batch.set_num(BYTES_OUT, bytes);
        batch.set_num(TCP_FLAGS, flags);
        batch.set_text(VANTAGE, if row % 2 == 0 { "source" } else { "destination" });
        batch.set_num(IS_SRC_DST_ASSIGNMENT_KNOWN, 0);
        if traffic.has_networks {
            batch.set_text(
                if row % 2 == 0 { SRC_NETWORK } else { DST_NETWORK },
                if row % 4 < 2 { "vpc-1" } else { "vpc-2" },
            );
        }
        batch.end_row();
    }
    batch
}

/// Knows half of the inside addresses; with `changing`, some of them only until half past the hour.
pub(crate) fn normaliser(traffic: Traffic, changing: bool) -> Normaliser {
    let mut text = "address,entity,namespace,valid_from,valid_to\n".to_owned();
    for number in (0..traffic.addresses).step_by(2) {
        let address = address(number, traffic.addresses);
        let (name, namespace) = (format!("service-{}", number % 60), format!("team-{}", number % 7));
        if changing && number % 10 == 0 {
            text += &format!("{address},{name},{namespace},,2026-01-01T00:30:00Z\n");
            text += &format!("{address},{name}-next,{namespace},2026-01-01T00:30:00Z,\n");
        } else {
            text += &format!("{address},{name},{namespace},,\n");
        }
    }
    Normaliser::new(&Settings::default(), Inventory::from_csv(&text, "made.csv").unwrap())
}

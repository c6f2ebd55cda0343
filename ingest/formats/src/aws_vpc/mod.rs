//! AWS VPC flow logs and Transit Gateway flow logs: text objects, CloudWatch Logs envelopes and Parquet delivery.
//!
//! Fields and what they mean: AWS, "Flow log records" (VPC user guide), "Transit Gateway Flow Log records". A record counts
//! one way of the traffic during an interval, so the other way stays null, and it does not say who opened the connection.

mod answer;
mod beyond_default;
mod cloudwatch;
mod delivery;
mod family;
mod field;
mod headers;
mod layout;
mod page;
mod row;
mod text;
mod unmapped;

pub use cloudwatch::CloudWatch;
pub use delivery::decode_parquet;
pub(crate) use family::FAMILY;
pub use headers::headers;
pub use layout::{DEFAULT, LAYOUT_FIELDS_MAX, Layout, LayoutError, TRANSIT_GATEWAY};

use crate::contract::{Decoded, Format};
use std::sync::Arc;

/// The word in the column `source`.
pub const NAME: &str = "aws_vpc";

/// Lines of text with one layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsVpc {
    layout: Layout,
}

impl AwsVpc {
    /// Lines with this layout.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        Self { layout }
    }

    /// The layout.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
}

impl Format for AwsVpc {
    fn name(&self) -> &'static str {
        NAME
    }

    fn decode(&self, input: &[u8], offset: u64, out: &mut Decoded) {
        text::decode(&self.layout, input, offset, out);
    }

    fn relayouts(&self, lines: &[u8]) -> Vec<(usize, Arc<dyn Format>)> {
        headers::relayouts(lines)
    }
}

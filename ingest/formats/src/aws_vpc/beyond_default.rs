//! The fields that the default layout lacks: what interfaces tell from version 3 on, and Transit Gateways.

use super::answer::LOST;
use super::field::Field;
use super::row::{Fault, Origin, Rows, Words, set_last, set_num};
use crate::contract::Decoded;
use tradewind_model::{NULL_NUM, flow, protocol};

impl Rows<'_> {
    /// Fields that the default layout lacks; it does not pay for them.
    pub(super) fn beyond_default(
        &mut self,
        words: &Words<'_>,
        protocol: i64,
        origin: &Origin<'_>,
        out: &mut Decoded,
    ) -> Result<(), Fault> {
        self.end(words, flow::SRC_IP, Field::PktSrcaddr, Field::Srcaddr, out)?;
        self.end(words, flow::DST_IP, Field::PktDstaddr, Field::Dstaddr, out)?;
        let flags = self.number(words, Field::TcpFlags, i64::from(u16::MAX))?;
        if flags != 0 || protocol == protocol::TCP {
            set_num(out, flow::TCP_FLAGS, flags);
        }
        let region = self.word(words, Field::Region);
        if region != "-" {
            set_last(&mut self.region, flow::REGION, region, out);
        }
        if self.layout.is_transit_gateway() {
            self.transit_gateway(words, origin, out);
        } else {
            self.interface(words, origin, out);
        }
        let encryption = self.word(words, Field::EncryptionStatus);
        if encryption != "-" {
            match super::answer::encryption(encryption) {
                Some(how) => out.flows.set_text(flow::ENCRYPTION, how),
                None => self.unmapped.push(Field::EncryptionStatus, encryption),
            }
            if encryption == "3" {
                self.unmapped.push(Field::EncryptionStatus, encryption);
            }
        }
        for (place, member) in self.layout.unmapped() {
            let value = words[usize::from(*place)];
            if value != "-" {
                self.unmapped.push_member(member, value);
            }
        }
        Ok(())
    }

    /// What only an interface's record tells.
    fn interface(&mut self, words: &Words<'_>, origin: &Origin<'_>, out: &mut Decoded) {
        let network = self.word(words, Field::VpcId);
        if network != "-" {
            set_last(&mut self.src_network, flow::SRC_NETWORK, network, out);
            set_last(&mut self.dst_network, flow::DST_NETWORK, network, out);
        }
        let direction = self.word(words, Field::FlowDirection);
        let instance = self.word(words, Field::InstanceId);
        let side = match direction {
            "egress" => {
                self.vantage_source.set(out);
                Some(flow::SRC_INSTANCE)
            }
            "ingress" => {
                self.vantage_destination.set(out);
                Some(flow::DST_INSTANCE)
            }
            other => {
                self.unmapped.push_present(Field::FlowDirection, other);
                None
            }
        };
        match side {
            Some(column) if instance != "-" => out.flows.set_text(column, instance),
            _ => self.unmapped.push_present(Field::InstanceId, instance),
        }
        let resource = self.word(words, Field::ResourceId);
        if self.observer_word(words, origin) != resource {
            self.unmapped.push_present(Field::ResourceId, resource);
        }
    }

    /// What only a Transit Gateway's record tells. The gateway stands between both ends whichever way the packets go.
    fn transit_gateway(&mut self, words: &Words<'_>, origin: &Origin<'_>, out: &mut Decoded) {
        self.vantage_network.set(out);
        for (field, column) in [(Field::TgwSrcVpcId, flow::SRC_NETWORK), (Field::TgwDstVpcId, flow::DST_NETWORK)] {
            let network = self.word(words, field);
            if network != "-" {
                out.flows.set_text(column, network);
            }
        }
        let observer = self.observer_word(words, origin);
        for field in [Field::TgwId, Field::InterfaceId, Field::ResourceId, Field::VpcId, Field::InstanceId] {
            let value = self.word(words, field);
            if value != observer {
                self.unmapped.push_present(field, value);
            }
        }
        self.unmapped.push_present(Field::FlowDirection, self.word(words, Field::FlowDirection));
    }

    /// A Transit Gateway that lost every packet did not connect the ends; the counters that say so are the reason.
    pub(super) fn forwarded_or_lost(&mut self, words: &Words<'_>, out: &mut Decoded) -> Result<(), Fault> {
        let packets = self.number(words, Field::Packets, i64::MAX)?;
        let mut lost: i64 = 0;
        let mut reason = String::new();
        for field in LOST {
            let count = self.number(words, field, i64::MAX)?;
            if count <= 0 {
                continue;
            }
            lost = lost.saturating_add(count);
            if !reason.is_empty() {
                reason.push(',');
            }
            reason.push_str(field.name());
            self.unmapped.push(field, self.word(words, field));
        }
        if lost > 0 && packets != NULL_NUM && lost >= packets {
            self.answers.lost.set(out);
            out.flows.set_text(flow::OUTCOME_REASON, &reason);
        } else {
            self.answers.forwarded.set(out);
        }
        Ok(())
    }
}

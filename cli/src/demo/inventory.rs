//! Writes the demo's inventory: which address is which service, and since when. Not the reading, which normalise does.

use super::network::Network;
use std::fmt::Write;
use tradewind_model::time::{SECOND, rfc3339};

impl Network {
    /// The inventory in CSV notation. Addresses lie in one address space, so that column `network` is empty.
    pub(crate) fn inventory_csv(&self) -> String {
        let mut text = "address,entity,kind,namespace,network,valid_from,valid_to,instance\n".to_owned();
        for instance in &self.instances {
            let service = &self.services[instance.service];
            let valid_from = instance.deployed_at.map(|at| rfc3339(at * SECOND)).unwrap_or_default();
            let (address, kind) = (&instance.address, service.kind());
            let (name, namespace) = (service.name, service.namespace);
            writeln!(text, "{address},{name},{kind},{namespace},,{valid_from},,{}", instance.name)
                .expect("writing to a string cannot fail");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::network::{Scenario, generate};

    #[test]
    fn every_address_has_its_line() {
        let network = generate(1, 1_768_464_000, Scenario::A);
        let text = network.inventory_csv();
        assert_eq!(text.lines().count(), network.instances.len() + 1);
        for expected in [
            "10.50.1.10,support-bot,agent,ai,,,,support-bot-1",
            "203.0.113.10,model-provider,external,outside,,,,model-provider-1",
            &format!("{},catalog,service,shop,,2026-01-15T08:40:00Z,,catalog-4", network.story().deployed_address),
        ] {
            assert!(text.lines().any(|line| line == expected), "{expected} is not in\n{text}");
        }
    }
}

//! Stages as processes of their own, on a real Apache Kafka.

use super::running::{Service, free_address, lines, wrong};
use crate::program::Program;
use std::io::Write as _;
use tradewind_kafka_testkit::{Kafka, available};

#[test]
fn stages_on_kafka_store_each_record_once_though_they_are_killed() {
    let Some(broker) = available(Kafka::shared()) else { return };
    let program = Program::new();
    std::fs::create_dir(program.folder().join("logs")).unwrap();
    let settings = |instance: &str| {
        format!(
            "[lake]\npath = \"lake\"\n[run]\ninstance = \"{instance}\"\nlisten = \"{}\"\n[store]\ninterval_ms = 300\n\
             [transport]\nlog = \"kafka\"\ntopic_prefix = \"service\"\n[transport.kafka]\nbrokers = [\"{}\"]\n\
             session_timeout_ms = 6000\n\
             [[source]]\ntype = \"file\"\nname = \"files\"\npaths = [\"{}/logs/*.log\"]\npoll_interval_ms = 50\n",
            free_address(),
            broker.bootstrap(),
            program.folder().display()
        )
    };
    let instances = ["collect", "normalise", "store", "detect", "correlate"];
    for instance in instances {
        program.file(&format!("{instance}.toml"), settings(instance));
    }
    let made = program.run(&["topics", "create", "--config", "collect.toml"]);
    assert_eq!(made.code, 0, "{made:?}");
    assert!(made.out.contains("created service.flows (4 partitions)"), "{made:?}");
    let start = |stage: &str| {
        let config = format!("{stage}.toml");
        Service::start(&program, stage, &["--config", &config, "--stages", stage])
    };
    let mut services: Vec<Service> = instances.iter().map(|stage| start(stage)).collect();
    for round in 0..4_u32 {
        let path = program.folder().join(format!("logs/{round}.log"));
        let mut file = std::fs::File::create(path).unwrap();
        file.write_all(lines(round * 5_000..(round + 1) * 5_000).as_bytes()).unwrap();
        // Another one of them in each round.
        let killed = round as usize % instances.len();
        services[killed].kill();
        services[killed] = start(instances[killed]);
    }
    services[2].until("all is stored", || wrong(&program, 0..20_000) == Some(0));
}

//! Records that are larger than their topic takes: they travel in parts, also after the limit was lowered, and nothing of them is lost.

use super::running::lines;
use super::setup::Setup;
use tradewind_kafka_testkit::{Kafka, available};

/// Sets the largest batch that a topic takes.
fn limit(broker: &Kafka, topic: &str, bytes: u32) {
    let (bootstrap, setting) = (broker.bootstrap(), format!("max.message.bytes={bytes}"));
    let arguments = ["--bootstrap-server", &bootstrap, "--alter", "--entity-type", "topics", "--entity-name", topic];
    broker.tool("kafka.admin.ConfigCommand", &[&arguments[..], &["--add-config", &setting]].concat()).unwrap();
}

#[test]
fn records_over_the_limit_of_a_topic_travel_in_parts() {
    let Some(broker) = available(Kafka::shared()) else { return };
    let setup = Setup::kafka(&broker.bootstrap(), "sizes", "message_bytes_max = 262144\n");
    setup.create_topics();
    let mut service = setup.start("run");
    // Lines that together are longer than a record of the topic, and one that is so by itself.
    let long = |letter: &str| letter.repeat(300_000);
    setup.append("a.log", format!("{}{}\n", lines(0..10_000), long("a")));
    service.until("a push is taken", || setup.push("large", &lines(10_000..20_000)) == Some(200));
    service.until("a long line is taken", || setup.push("long", &long("b")) == Some(200));
    let rejected = |letter: &str| {
        let sql =
            "SELECT count(*) FROM dead_letters WHERE raw_bytes BETWEEN 300000 AND 300001 AND length(raw) >= 65536";
        setup.number(&format!("{sql} AND raw LIKE '{letter}{letter}%'")) == Some(1)
    };
    service.until("all is stored", || setup.has_stored(0..20_000) && rejected("a") && rejected("b"));

    for topic in ["sizes.raw", "sizes.flows", "sizes.dead-letters"] {
        limit(broker, topic, 65_536);
    }
    setup.append("a.log", format!("{}{}\n", lines(20_000..25_000), long("c")));
    service.until("a push is taken", || setup.push("lowered", &lines(25_000..30_000)) == Some(200));
    service.until("all is stored", || setup.has_stored(0..30_000) && rejected("c"));
    assert_eq!(setup.number("SELECT count(*) FROM flows"), Some(30_000));
    assert_eq!(setup.number("SELECT count(*) FROM dead_letters"), Some(3));

    // A limit that leaves no room for a part is for a person to mend.
    limit(broker, "sizes.raw", 400);
    setup.append("a.log", lines(30_000..31_000));
    assert_eq!(service.end().code(), Some(1), "{}", service.log());
    let log = service.log();
    assert!(log.contains("a record for sizes.raw") && log.contains("raise the topic's `max.message.bytes`"), "{log}");
    limit(broker, "sizes.raw", 65_536);
    let mut service = setup.start("again");
    service.until("what waited is stored", || setup.has_stored(0..31_000));
    assert_eq!(setup.number("SELECT count(*) FROM flows"), Some(31_000));
}

//! A broker that is away when the service begins, and one that is lost while it works.

use super::running::lines;
use super::setup::Setup;
use std::time::{Duration, Instant};
use tradewind_kafka_testkit::{Kafka, KafkaOptions, Toxiproxy, available};

/// The broker is away three times for so long: before it is first reached, behind a network that fails, and after a kill.
fn losing_the_broker(outage: Duration) {
    let options = KafkaOptions { has_faulty_listener: true, ..KafkaOptions::default() };
    let Some(broker) = available(Kafka::start(options)) else { return };
    let Some(network) = available(Toxiproxy::start()) else { return };
    let address = broker.route_through(&network, "kafka").unwrap();
    let setup = Setup::kafka(&address, "outage", "");
    setup.create_topics();

    broker.kill9();
    let mut service = setup.start("run");
    service.until_it_says("waiting for the log");
    service.until("the cause is told", || setup.tells(&format!("on Kafka at {address}")));
    setup.append("a.log", lines(0..2_000));
    broker.restart().unwrap();
    service.until("the work is done", || setup.has_stored(0..2_000));
    service.until("all stages work", || setup.is_ready());

    // Longer than the sessions of the groups: their partitions are nobody's meanwhile.
    network.cut("kafka").unwrap();
    let begun = Instant::now();
    setup.append("a.log", lines(2_000..4_000));
    service.until("a push is refused", || setup.push("lost", &lines(4_000..5_000)) == Some(503));
    service.until("the cause is told", || setup.tells(&address));
    service.until("the outage is over", || begun.elapsed() >= outage);
    network.heal("kafka").unwrap();
    service.until("the push is taken", || setup.push("lost", &lines(4_000..5_000)) == Some(200));
    service.until("what waited is stored", || setup.has_stored(0..5_000));

    broker.kill9();
    let begun = Instant::now();
    setup.append("b.log", lines(5_000..7_000));
    service.until("the cause is told", || setup.tells(&address));
    service.until("the outage is over", || begun.elapsed() >= outage);
    broker.restart().unwrap();
    service.until("what waited is stored", || setup.has_stored(0..7_000));
    service.until("all stages work", || setup.is_ready());
    service.signal("TERM");
    assert!(service.end().success(), "{}", service.log());
    assert_eq!(setup.number("SELECT count(*) FROM flows"), Some(7_000));
    assert_eq!(setup.number("SELECT count(*) FROM dead_letters"), Some(0));
}

#[test]
fn a_broker_that_is_lost_is_waited_for_and_nothing_with_it() {
    losing_the_broker(Duration::from_secs(8));
}

#[test]
#[ignore = "takes three minutes"]
fn a_broker_that_is_lost_for_a_minute_is_waited_for() {
    losing_the_broker(Duration::from_secs(60));
}

//! The streaming service: records in at one end, rows and findings out at the other, once, whatever is done to it.

mod broker;
mod clock;
mod disk;
mod embedded;
mod feedback;
mod feedback_kafka;
mod full_disk;
mod kafka;
mod notify;
mod notify_full_disk;
mod read_only;
mod refused;
mod running;
mod setup;
mod sizes;
mod snapshots;
mod told;

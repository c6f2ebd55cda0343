//! The small network of `tradewind demo`: its services, two hours of their calls, and one agent that is taken over. Not
//! the log files that tell of it.
//!
//! Invariant: ordinary traffic is a fixed set of edges that all appear within the first five minutes. Later a deployment
//! brings a new address of a known service, and nothing else that is new but the takeover.

mod services;
mod traffic;

use traffic::{
    AGENT, DEPLOYED, DEPLOYMENT_MINUTE, LATERAL_MINUTE, MINUTES, Maker, PIVOT, SECRETS, SECRETS_MINUTE,
    TAKEOVER_MINUTE, TARGET, TARGET_ATTEMPTS, TRANSFER_CALLS, TRANSFER_MINUTES,
};

/// Length of what is told, seconds.
pub(crate) const DURATION_S: i64 = 2 * 3600;

/// Which story is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Scenario {
    /// A flat network: nothing stops the agent, which reaches the payments service and calls it 847 times
    #[default]
    A,
    /// The same attack where the policy is enforced upstream: all that the agent tries is denied
    C,
}

/// A service, an agent or something outside.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) namespace: &'static str,
    pub(crate) name: &'static str,
    /// 0 where it serves nobody.
    pub(crate) port: u16,
}

impl Service {
    /// The word of the inventory's column `kind`.
    pub(crate) fn kind(&self) -> &'static str {
        match (self.namespace, self.name) {
            ("outside", _) => "external",
            ("ai", "support-bot" | "research-agent" | "coding-agent") => "agent",
            _ => "service",
        }
    }

    /// Whether its instances have a sidecar proxy, which logs what they answer. The flow logs of the interfaces tell of
    /// the rest.
    pub(crate) fn is_meshed(&self) -> bool {
        matches!(self.namespace, "shop" | "payments")
    }
}

/// One address of a service.
#[derive(Debug)]
pub(crate) struct Instance {
    /// Index into [`Network::services`].
    pub(crate) service: usize,
    pub(crate) name: String,
    pub(crate) address: String,
    /// Of the cloud's network.
    pub(crate) interface: String,
    /// When it was deployed, unix seconds; none: before the story.
    pub(crate) deployed_at: Option<i64>,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Served,
    /// The responder did not answer; the initiator tries again.
    Unavailable,
    /// Policy forbade it.
    Denied,
}

/// One call or session. Ends are indexes into [`Network::instances`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// Milliseconds since 1970.
    pub(crate) time_ms: i64,
    pub(crate) duration_ms: i64,
    pub(crate) client: usize,
    pub(crate) client_port: u16,
    pub(crate) server: usize,
    pub(crate) bytes_out: i64,
    pub(crate) bytes_in: i64,
    pub(crate) answer: Answer,
    /// HTTP method and path, for those that are HTTP.
    pub(crate) operation: (&'static str, &'static str),
}

/// What happened, for whoever tells it and for tests. Times are unix seconds, names `namespace/name`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Story {
    pub(crate) agent: &'static str,
    pub(crate) agent_address: String,
    pub(crate) scenario: Scenario,
    pub(crate) taken_over_at: i64,
    /// Attempts on services that the agent never used: in scenario C all were denied.
    pub(crate) probes: usize,
    pub(crate) probed: Vec<&'static str>,
    pub(crate) pivot: &'static str,
    pub(crate) pivot_address: String,
    pub(crate) pivot_port: u16,
    pub(crate) pivoted_at: i64,
    /// Where the pivot fetched secrets on the way.
    pub(crate) secrets: &'static str,
    pub(crate) secrets_at: i64,
    pub(crate) target: &'static str,
    pub(crate) target_port: u16,
    /// Of the pivot; where the policy is enforced, attempts of the agent.
    pub(crate) target_calls: u32,
    pub(crate) target_from: i64,
    pub(crate) target_until: i64,
    /// Harmless: a new instance of a known service.
    pub(crate) deployed: &'static str,
    pub(crate) deployed_address: String,
    pub(crate) deployed_at: i64,
}

/// The network and all its calls, in the order of their times.
#[derive(Debug)]
pub(crate) struct Network {
    /// Unix seconds, a multiple of 300.
    pub(crate) start: i64,
    pub(crate) services: Vec<Service>,
    pub(crate) instances: Vec<Instance>,
    pub(crate) calls: Vec<Call>,
    story: Story,
}

impl Network {
    /// What happened.
    pub(crate) fn story(&self) -> &Story {
        &self.story
    }

    /// Edges that break the demo's policy, `namespace/name` of both ends.
    #[cfg(test)]
    pub(crate) fn planted_edges(&self) -> std::collections::BTreeSet<(&'static str, &'static str)> {
        let story = &self.story;
        let of_agent = story.probed.iter().copied().chain([story.pivot]).map(|server| (story.agent, server));
        match story.scenario {
            Scenario::A => of_agent.chain([(story.pivot, story.secrets), (story.pivot, story.target)]).collect(),
            Scenario::C => of_agent.chain([(story.agent, story.target)]).collect(),
        }
    }

    /// The service of an instance.
    pub(crate) fn service_of(&self, instance: usize) -> &Service {
        &self.services[self.instances[instance].service]
    }
}

/// Makes the network. `start` (unix seconds) is rounded down to five minutes, the length of a detection window.
pub(crate) fn generate(seed: u64, start: i64, scenario: Scenario) -> Network {
    let mut maker = Maker::new(seed, start - start.rem_euclid(300));
    for minute in 0..MINUTES {
        maker.ordinary_minute(minute);
    }
    maker.takeover(scenario);
    maker.calls.sort_by_key(|call| call.time_ms);
    let first = |name: &str| maker.instances_of(name)[0];
    let address = |instance: usize| maker.instances[instance].address.clone();
    let new = *maker.instances_of(DEPLOYED).last().expect("it has instances");
    let at = |minute: i64| maker.start + minute * 60;
    let port = |name: &str| maker.services[maker.service(name)].port;
    let story = Story {
        agent: AGENT,
        agent_address: address(first(AGENT)),
        scenario,
        taken_over_at: at(TAKEOVER_MINUTE),
        probes: 2 * maker.probed(scenario).len(),
        probed: maker.probed(scenario),
        pivot: PIVOT,
        pivot_address: address(first(PIVOT)),
        pivot_port: port(PIVOT),
        pivoted_at: at(LATERAL_MINUTE),
        secrets: SECRETS,
        secrets_at: at(SECRETS_MINUTE),
        target: TARGET,
        target_port: port(TARGET),
        target_calls: match scenario {
            Scenario::A => TRANSFER_CALLS,
            Scenario::C => TARGET_ATTEMPTS,
        },
        target_from: at(TRANSFER_MINUTES.start),
        target_until: at(TRANSFER_MINUTES.end),
        deployed: DEPLOYED,
        deployed_address: address(new),
        deployed_at: at(DEPLOYMENT_MINUTE),
    };
    Network { start: maker.start, services: maker.services, instances: maker.instances, calls: maker.calls, story }
}

#[cfg(test)]
mod tests;

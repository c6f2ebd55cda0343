//! What the answers of the cookbook's queries have to tell, on the lakes of the demo. Not the running of them.

/// Heading of a query in the cookbook, and what its answer (as CSV) has to tell.
pub(super) type Answers = [(&'static str, &'static [&'static str])];

/// Where the network is flat, and the attack goes through.
pub(super) const ANSWERS: &Answers = &[
    (
        "Who talked to the payment service last night?",
        &["-/platform/service/ci-runner,allowed,847,", "-/ai/agent/support-bot,allowed,2,"],
    ),
    (
        "What broke the declared policy last night?",
        &[
            "-/ai/agent/support-bot,-/data/service/customer-db,5432,agents/none/initiate,allowed,4,",
            "-/ai/agent/support-bot,-/data/service/ledger-db,5432,agents/none/initiate,allowed,4,",
            "-/ai/agent/support-bot,-/data/service/orders-db,5432,agents/none/initiate,allowed,4,",
            "-/ai/agent/support-bot,-/data/service/warehouse,5439,agents/none/initiate,allowed,4,",
            "-/ai/agent/support-bot,-/platform/service/vault,8200,agents/none/initiate,allowed,4,",
            "-/ai/agent/support-bot,-/payments/service/ledger,8443,agents/none/initiate,allowed,2,",
            "-/ai/agent/support-bot,-/payments/service/payment-api,8443,agents/none/initiate,allowed,2,",
            "-/ai/agent/support-bot,-/platform/service/ci-runner,22,agents/none/initiate,allowed,44,",
            "-/platform/service/ci-runner,-/platform/service/vault,8200,vault/none/receive,allowed,6,",
            "-/platform/service/ci-runner,-/payments/service/payment-api,8443,payment-api/none/receive,allowed,847,",
        ],
    ),
    (
        "Who was denied, and reached it through another?",
        &["-/platform/service/ci-runner,", "-/payments/service/payment-api,", "-/platform/service/vault,"],
    ),
    (
        "Which edges are new since yesterday?",
        &[
            "-/platform/service/ci-runner,-/payments/service/payment-api,8443,",
            "-/ai/agent/support-bot,-/platform/service/ci-runner,22,",
        ],
    ),
    ("How many connections, and how many bytes, each counted once?", &["93591,127614273,441868126"]),
    (
        "What is this connection's Community ID, to find it in Zeek or Suricata?",
        &["10.50.1.10,59734,10.40.1.19,22,1:4pIDIFUH1uU3eAT/XEc9/iLEaNA="],
    ),
    ("Is anybody scanning?", &["T10:20:00Z,-/ai/agent/support-bot,23,15,"]),
    (
        "Where does data go outside, and how much?",
        &["-/ai/service/llm-gateway,-/outside/external/model-provider,203.0.113.10,443,"],
    ),
    ("Where is coverage missing?", &[",SKIPDATA,12,", ",NODATA,12,"]),
    ("Which raw record is behind a row?", &["logs/istio/payments/istio-proxy_"]),
    ("What did the entity of a finding do before and after?", &["-/platform/service/ci-runner,22,allowed"]),
];

/// Where the policy is enforced, and all of the attack is denied.
pub(super) const ANSWERS_OF_DENIED: &Answers = &[
    (
        "What was denied, to whom, and how often?",
        &[
            "-/ai/agent/support-bot,-/data/service/customer-db,5432,aws_vpc,",
            "-/ai/agent/support-bot,-/platform/service/ci-runner,22,aws_vpc,",
            "-/ai/agent/support-bot,-/platform/service/vault,8200,aws_vpc,",
            "-/ai/agent/support-bot,-/payments/service/ledger,8443,envoy,",
            "-/ai/agent/support-bot,-/payments/service/payment-api,8443,envoy,",
        ],
    ),
    (
        "What broke the declared policy last night?",
        &["-/ai/agent/support-bot,-/payments/service/payment-api,8443,agents/none/initiate,denied,20,"],
    ),
    ("Is anybody scanning?", &["T10:20:00Z,-/ai/agent/support-bot,"]),
];

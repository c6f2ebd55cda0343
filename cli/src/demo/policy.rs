//! The communication policy of the demo's network: what its owners would have declared. Not what the traffic is.

/// Agents may do their work and nothing else; the payments service and the vault say who may contact them. Services
/// without a policy are left alone, as they would be while policies are being introduced.
pub(super) const TEXT: &str = r#"version = 1

[defaults]
service = "allow"

[[group]]
name = "platform-services"
description = "What every workload uses."
members = ["platform/dns", "platform/log-collector"]

[[policy]]
name = "agents"
description = "What all agents may do."
subject = { kind = "agent" }

[[policy.allow]]
name = "platform"
to = [{ group = "platform-services" }]
ports = ["53/udp", "24224/tcp"]

[[policy.allow]]
name = "models"
to = ["ai/llm-gateway"]
ports = ["8443/tcp"]

[[policy]]
name = "support-bot"
description = "Answers customers. Owner: team support."
subject = { kind = "agent", name = "ai/support-bot" }

[[policy.allow]]
name = "tools"
to = ["ai/vector-index", "ai/tool-server"]
ports = ["6333/tcp", "8080/tcp"]

[[policy.allow]]
name = "orders"
to = ["shop/orders", "shop/shipping"]
ports = ["8080/tcp"]

[[policy]]
name = "research-agent"
subject = { kind = "agent", name = "ai/research-agent" }

[[policy.allow]]
name = "sources"
to = ["ai/vector-index", "shop/catalog"]
ports = ["6333/tcp", "8080/tcp"]

[[policy]]
name = "coding-agent"
subject = { kind = "agent", name = "ai/coding-agent" }

[[policy.allow]]
name = "code"
to = ["platform/git", "ai/tool-server"]
ports = ["443/tcp", "8080/tcp"]

[[policy]]
name = "payment-api"
description = "Money moves here. Owner: team payments."
subject = "payments/payment-api"
direction = "receive"

[[policy.allow]]
name = "orders"
from = ["shop/orders"]
ports = ["8443/tcp"]

[[policy]]
name = "vault"
subject = "platform/vault"
direction = "receive"

[[policy.allow]]
name = "payments"
from = ["payments/payment-api", "payments/ledger"]
ports = ["8200/tcp"]
"#;

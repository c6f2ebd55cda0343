//! Which services the demo's network has and who calls whom on an ordinary day. Not what happens that day.

/// Name, port it serves (0: none) and number of instances.
#[rustfmt::skip]
pub(super) const SERVICES: [(&str, u16, u8); 42] = [
    ("shop/storefront", 8080, 4), ("shop/catalog", 8080, 3), ("shop/cart", 8080, 3), ("shop/search", 8080, 2),
    ("shop/recommendations", 8080, 2), ("shop/pricing", 8080, 2), ("shop/orders", 8080, 3), ("shop/inventory", 8080, 2),
    ("shop/shipping", 8080, 2), ("shop/notifications", 8080, 2),
    ("payments/payment-api", 8443, 3), ("payments/fraud-check", 8443, 2), ("payments/ledger", 8443, 2),
    ("payments/wallet", 8443, 2),
    ("data/session-cache", 6379, 3), ("data/catalog-db", 5432, 2), ("data/search-index", 9200, 3),
    ("data/feature-store", 8443, 2), ("data/event-bus", 9092, 3), ("data/orders-db", 5432, 2),
    ("data/customer-db", 5432, 2), ("data/ledger-db", 5432, 2), ("data/object-store", 9000, 2),
    ("data/warehouse", 5439, 2), ("data/stream-loader", 0, 2), ("data/report-builder", 0, 1),
    ("platform/dns", 53, 2), ("platform/vault", 8200, 2), ("platform/identity", 8443, 2), ("platform/git", 443, 1),
    ("platform/artifact-store", 443, 2), ("platform/ci-runner", 22, 2), ("platform/deployer", 0, 1),
    ("platform/scheduler", 0, 1), ("platform/log-collector", 24224, 2),
    ("ai/support-bot", 0, 2), ("ai/research-agent", 0, 1), ("ai/coding-agent", 0, 1), ("ai/llm-gateway", 8443, 2),
    ("ai/vector-index", 6333, 2), ("ai/tool-server", 8080, 2),
    ("outside/model-provider", 443, 1),
];
/// Who calls whom, and how often a minute at noon.
#[rustfmt::skip]
pub(super) const EDGES: [(&str, &str, u32); 62] = [
    ("shop/storefront", "shop/catalog", 38), ("shop/storefront", "shop/cart", 26), ("shop/storefront", "shop/search", 24),
    ("shop/storefront", "shop/recommendations", 18), ("shop/storefront", "shop/orders", 12),
    ("shop/storefront", "data/session-cache", 20), ("shop/storefront", "platform/identity", 8),
    ("shop/search", "shop/catalog", 12), ("shop/search", "data/search-index", 16),
    ("shop/recommendations", "shop/catalog", 8), ("shop/recommendations", "data/feature-store", 12),
    ("shop/catalog", "shop/pricing", 10), ("shop/catalog", "data/catalog-db", 14),
    ("shop/cart", "shop/pricing", 14), ("shop/cart", "shop/inventory", 10), ("shop/cart", "data/session-cache", 12),
    ("shop/pricing", "data/catalog-db", 6), ("shop/inventory", "data/orders-db", 6),
    ("shop/orders", "shop/inventory", 8), ("shop/orders", "shop/shipping", 7), ("shop/orders", "shop/notifications", 8),
    ("shop/orders", "payments/payment-api", 12), ("shop/orders", "data/orders-db", 12), ("shop/orders", "data/event-bus", 8),
    ("shop/shipping", "shop/notifications", 4), ("shop/shipping", "data/event-bus", 4),
    ("shop/notifications", "data/event-bus", 5),
    ("payments/payment-api", "payments/fraud-check", 12), ("payments/payment-api", "payments/ledger", 12),
    ("payments/payment-api", "payments/wallet", 8), ("payments/payment-api", "data/ledger-db", 8),
    ("payments/payment-api", "platform/vault", 2), ("payments/payment-api", "platform/identity", 5),
    ("payments/wallet", "payments/ledger", 6), ("payments/wallet", "data/customer-db", 5),
    ("payments/ledger", "data/ledger-db", 12), ("payments/ledger", "platform/vault", 2),
    ("payments/fraud-check", "data/feature-store", 10),
    ("data/stream-loader", "data/event-bus", 10), ("data/stream-loader", "data/warehouse", 6),
    ("data/stream-loader", "data/object-store", 5), ("data/feature-store", "data/warehouse", 3),
    ("data/report-builder", "data/warehouse", 3), ("data/report-builder", "data/object-store", 2),
    ("platform/ci-runner", "platform/git", 4), ("platform/ci-runner", "platform/artifact-store", 5),
    ("platform/deployer", "platform/ci-runner", 2), ("platform/deployer", "platform/artifact-store", 2),
    ("ai/support-bot", "ai/llm-gateway", 8), ("ai/support-bot", "ai/vector-index", 5), ("ai/support-bot", "ai/tool-server", 4),
    ("ai/support-bot", "shop/orders", 3), ("ai/support-bot", "shop/shipping", 3),
    ("ai/research-agent", "ai/llm-gateway", 6), ("ai/research-agent", "ai/vector-index", 6),
    ("ai/research-agent", "shop/catalog", 4),
    ("ai/coding-agent", "ai/llm-gateway", 6), ("ai/coding-agent", "platform/git", 4), ("ai/coding-agent", "ai/tool-server", 3),
    ("ai/tool-server", "platform/identity", 3), ("ai/vector-index", "data/object-store", 2),
    ("ai/llm-gateway", "outside/model-provider", 14),
];
/// What every service calls, and how often a minute.
pub(super) const COMMON: [(&str, u32); 2] = [("platform/dns", 3), ("platform/log-collector", 3)];

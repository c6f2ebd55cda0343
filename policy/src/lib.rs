//! The communication policy: its document, its check on flows, and its report.
//!
//! Pure: texts, labels and flows in; verdicts and reports out. It reads no file, no clock, and enforces nothing. What a
//! document may say and what it means is in `docs/specs/policy.md`.
//!
//! ```
//! use tradewind_policy::{EntityLabels, FlowView, PolicyScratch, Report, Syntax, load};
//!
//! let text = r#"
//! version = 1
//!
//! [[policy]]
//! name = "support-bot"
//! subject = { kind = "agent", name = "ai/support-bot" }
//!
//! [[policy.allow]]
//! name = "tickets"
//! to = ["shop/tickets"]
//! ports = ["443/tcp"]
//!
//! [[policy]]
//! name = "tickets"
//! subject = "shop/tickets"
//!
//! [[policy.allow]]
//! name = "agents"
//! from = [{ kind = "agent", namespace = "ai" }]
//! "#;
//! // Every file at once: all faults of all files come back together, each with file, line, column and key.
//! let compiled = load(&[("policy.toml", text, Syntax::Toml)], EntityLabels::default())?;
//! assert!(compiled.warnings.is_empty());
//!
//! // A whole batch: fills `declared_verdict`, `declared_rule` and `declared_policy_version`.
//! let mut flows = tradewind_model::FlowBatch::default();
//! compiled.set.check(&mut flows, &mut PolicyScratch::default());
//!
//! // One flow, or one row of a query.
//! let flow = FlowView {
//!     src_entity: "prod/ai/agent/support-bot",
//!     dst_entity: "prod/shop/service/tickets",
//!     protocol_num: Some(6),
//!     dst_port: Some(443),
//!     is_src_dst_assignment_known: true,
//!     ..FlowView::default()
//! };
//! let decision = compiled.set.check_one(&flow);
//! assert_eq!((decision.verdict.as_str(), decision.rule), ("allowed", "support-bot/tickets"));
//!
//! // A period: feed rows to a `Report`, then ask for its `summary`.
//! assert_eq!(Report::new(&compiled.set).summary().unused_rules.len(), 2);
//! # Ok::<(), tradewind_policy::PolicyError>(())
//! ```

#![warn(missing_docs)]

mod check;
mod classes;
pub mod compile;
pub mod decision;
pub mod diagnostic;
pub mod document;
mod labels;
mod memo;
mod node;
pub mod parse;
pub mod pattern;
pub mod port;
mod reader;
pub mod report;
mod selectors;
mod set;

pub use check::PolicyScratch;
pub use compile::{Compiled, compile, load};
pub use decision::{Decision, DeclaredVerdict, EndDecision, FlowView, Reason};
pub use diagnostic::{Diagnostic, Diagnostics, PolicyError, Position};
pub use document::Document;
pub use labels::EntityLabels;
pub use parse::{Syntax, parse};
pub use report::{Observation, Report, Summary};
pub use set::PolicySet;

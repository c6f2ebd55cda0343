//! `tradewind findings acknowledge|accept|dismiss|revoke|suppress|lift`: records what a person says of findings. Detection takes it from the
//! lake; what follows is its business.

use super::scope::{self, ScopePart};
use crate::context::Context;
use crate::failure::usage;
use crate::feedback::{self, Said, suppression_of, words_on_findings};
use crate::findings::{self, control_record, short_id};
use crate::output::{OutputFormat, json, json_pretty, line, note, printable};
use anyhow::{Context as _, anyhow};
use clap::Args;
use tradewind_model::time::rfc3339;
use tradewind_model::{ControlAction, ControlOrigin, Finding, Scope};
use tradewind_storage::Lake;

/// The longest reason, and the longest name of anybody or anything, in bytes.
const TEXT_MAX: usize = 2_000;

/// Who says it and why, for the record.
#[derive(Args, Debug)]
pub(super) struct WhyArgs {
    /// Why, for those who read the record later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Who says it [default: the user of this shell]
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
}

/// Which finding.
#[derive(Args, Debug)]
pub(super) struct FindingArgs {
    /// Its id, or the first characters of it
    id: String,

    #[command(flatten)]
    why: WhyArgs,
}

/// What is not to be told.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["id", "scope"]))]
pub(super) struct SuppressArgs {
    /// A finding, by its id or the first characters of it: nothing of what it is about
    id: Option<String>,

    /// What it is about: entity (that acts), destination, port, behaviour; what is not given is any
    #[arg(long, value_name = "KEY=VALUE,...", value_delimiter = ',', value_parser = scope::part)]
    scope: Vec<ScopePart>,

    /// When it ends: a time, or a duration from now such as 12h, 30d or 2w
    #[arg(long, value_name = "TIME|DURATION")]
    until: String,

    /// What it is called, to lift it by [default: made from what it is about]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    #[command(flatten)]
    why: WhyArgs,
}

/// Which suppression ends.
#[derive(Args, Debug)]
pub(super) struct LiftArgs {
    /// Its name: `tradewind findings controls` lists them
    name: String,

    #[command(flatten)]
    why: WhyArgs,
}

impl WhyArgs {
    fn author(&self) -> String {
        let of_shell = || ["USER", "LOGNAME"].iter().find_map(std::env::var_os);
        let of_shell = || of_shell().map(|name| name.to_string_lossy().into_owned());
        let given = self.author.clone().or_else(of_shell).filter(|name| !name.trim().is_empty());
        given.unwrap_or_else(|| "unknown".to_owned())
    }

    fn said(&self, action: ControlAction, time: i64) -> anyhow::Result<Said> {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        if length(&self.reason).max(length(&self.author)) > TEXT_MAX {
            return Err(usage(format!("--reason and --author are at most {TEXT_MAX} bytes long")));
        }
        Ok(Said {
            action,
            finding_id: None,
            name: None,
            scope: Scope::default(),
            until: None,
            time,
            author: self.author(),
            reason: self.reason.clone(),
            origin: ControlOrigin::Command,
        })
    }
}

/// Accepts or dismisses a finding.
pub(super) fn of_finding(
    lake: &Lake,
    action: ControlAction,
    args: &FindingArgs,
    context: &Context,
) -> anyhow::Result<()> {
    let finding = context.runtime.block_on(findings::find(lake, &args.id))?.finding;
    let known = context.runtime.block_on(feedback::all(lake))?;
    let (done, id) = (done(action), short_id(&finding.finding_id));
    if let Some(row) = words_on_findings(&known).get(finding.finding_id.as_str())
        && row.action == action
    {
        note(&format!("{id} was {done} by {} at {} already", row.author, rfc3339(row.recorded_time)));
        return Ok(());
    }
    // After all that it tells of: what is told later is of the same kind, or news.
    let said = args.why.said(action, finding.time.max(finding.last_seen))?;
    let said = Said { finding_id: Some(finding.finding_id.clone()), ..said };
    record(lake, said, context, &format!("{done} {id}: {}", finding.title))?;
    match finding.behaviour.as_str() {
        "policy" if action == ControlAction::Accept => {
            note("the declared policy still denies it: change the policy, or it is told again when it happens again");
        }
        "chain" if action == ControlAction::Accept => note("chains never become habits: the next one is told"),
        _ => {}
    }
    Ok(())
}

/// Says that somebody looks after a finding.
pub(super) fn acknowledge(lake: &Lake, args: &FindingArgs, context: &Context) -> anyhow::Result<()> {
    let finding = context.runtime.block_on(findings::find(lake, &args.id))?.finding;
    let known = context.runtime.block_on(feedback::all(lake))?;
    let id = short_id(&finding.finding_id);
    if let Some(row) = feedback::acknowledged(&known, &finding.finding_id) {
        note(&format!("{id} was acknowledged by {} at {} already", row.author, rfc3339(row.recorded_time)));
        return Ok(());
    }
    if let Some(row) = words_on_findings(&known).get(finding.finding_id.as_str()) {
        note(&format!("{id} was {} by {} at {} already", done(row.action), row.author, rfc3339(row.recorded_time)));
        return Ok(());
    }
    let said = args.why.said(ControlAction::Acknowledge, finding.time)?;
    let text = format!("acknowledged {id}: {}", finding.title);
    record(lake, Said { finding_id: Some(finding.finding_id.clone()), ..said }, context, &text)
}

/// Takes back what was said of a finding.
pub(super) fn revoke(lake: &Lake, args: &FindingArgs, context: &Context) -> anyhow::Result<()> {
    let finding = context.runtime.block_on(findings::find(lake, &args.id))?.finding;
    let known = context.runtime.block_on(feedback::all(lake))?;
    let id = short_id(&finding.finding_id);
    let Some(row) = words_on_findings(&known).remove(finding.finding_id.as_str()) else {
        return Err(anyhow!("finding {id} is neither accepted nor dismissed: there is nothing to take back"));
    };
    // From where that holds, so that a replay goes on as though it never had been said.
    let said = args.why.said(ControlAction::Revoke, row.time)?;
    let text = format!("taken back: {id} is no longer {}: {}", done(row.action), finding.title);
    record(lake, Said { finding_id: Some(finding.finding_id.clone()), ..said }, context, &text)?;
    if row.action == ControlAction::Accept {
        note("what a running service learnt from it stays learnt: a contact that is known by now is not new again");
    }
    Ok(())
}

const fn done(action: ControlAction) -> &'static str {
    if matches!(action, ControlAction::Accept) { "accepted" } else { "dismissed" }
}

/// Suppresses a scope.
pub(super) fn suppress(lake: &Lake, args: &SuppressArgs, context: &Context) -> anyhow::Result<()> {
    let now = context.clock.now();
    let until = scope::until(&args.until, now)?;
    if until <= now {
        return Err(usage(format!("--until {} is over already", rfc3339(until))));
    }
    let find = |id: &str| Ok::<_, anyhow::Error>(context.runtime.block_on(findings::find(lake, id))?.finding);
    let finding = args.id.as_deref().map(find).transpose()?;
    let (scope, time, name) = match &finding {
        // From its first window on, so that a replay does not tell it either.
        Some(finding) => {
            let name = format!("finding-{}", short_id(&finding.finding_id));
            (scope_of(finding), finding.first_seen, name)
        }
        None => {
            let scope = context.runtime.block_on(scope::resolve(lake, &args.scope))?;
            (scope.clone(), now, scope::name(&scope))
        }
    };
    let name = args.name.clone().unwrap_or(name);
    if name.trim().is_empty() || name.len() > TEXT_MAX {
        return Err(usage(format!("a suppression needs a name, of at most {TEXT_MAX} bytes")));
    }
    let known = context.runtime.block_on(feedback::all(lake))?;
    if let Some(row) = suppression_of(&known, &name)
        && row.origin == ControlOrigin::File
    {
        return Err(usage(format!("suppression {name} is in the file of suppressions: change it there")));
    }
    let said = args.why.said(ControlAction::Suppress, time)?;
    let finding_id = finding.map(|finding| finding.finding_id);
    let text = format!("suppressed until {} as {name}: {}", rfc3339(until), scope::words(&scope));
    let hides_grave = scope.behaviour.as_deref().is_none_or(|word| matches!(word, "chain" | "policy"));
    record(lake, Said { finding_id, name: Some(name), scope, until: Some(until), ..said }, context, &text)?;
    if hides_grave {
        note("chain and policy findings are told nevertheless, and say which suppression covers them");
    }
    Ok(())
}

/// What a finding is about: its entity and behaviour, and where it was one, the destination and port.
fn scope_of(finding: &Finding) -> Scope {
    let one_of = |mut all: Vec<Option<(String, Option<i32>)>>| {
        all.dedup();
        if all.len() == 1 { all.pop().flatten() } else { None }
    };
    let is_inflow = finding.observations.iter().any(|seen| seen.src_entity != finding.entity);
    let reached = finding.observations.iter().map(|seen| Some((seen.dst_entity.clone(), seen.dst_port))).collect();
    let (destination, port) = match one_of(reached).filter(|_| !is_inflow) {
        Some((destination, port)) => (Some(destination), port.and_then(|port| u16::try_from(port).ok())),
        None => (None, None),
    };
    Scope { entity: Some(finding.entity.clone()), destination, port, behaviour: Some(finding.behaviour.clone()) }
}

/// Ends a suppression.
pub(super) fn lift(lake: &Lake, args: &LiftArgs, context: &Context) -> anyhow::Result<()> {
    let known = context.runtime.block_on(feedback::all(lake))?;
    let Some(row) = suppression_of(&known, &args.name) else {
        let names: Vec<&str> = feedback::suppressions(&known).into_keys().collect();
        let names =
            if names.is_empty() { "there are none".to_owned() } else { format!("there are {}", names.join(", ")) };
        let is_finding = words_on_findings(&known).into_keys().any(|id| id.starts_with(&args.name));
        let hint = if is_finding { "; `findings revoke` takes back what was said of a finding" } else { "" };
        return Err(anyhow!("there is no suppression {}: {names}{hint}", args.name));
    };
    if row.origin == ControlOrigin::File {
        return Err(usage(format!("suppression {} is in the file of suppressions: take it out there", args.name)));
    }
    // From where the suppression holds, so that a replay tells what it had hidden.
    let said = args.why.said(ControlAction::Lift, row.time)?;
    record(lake, Said { name: Some(args.name.clone()), ..said }, context, &format!("lifted {}", args.name))
}

fn record(lake: &Lake, said: Said, context: &Context, text: &str) -> anyhow::Result<()> {
    let recorded = said.record(context.clock.now());
    let appended = context.runtime.block_on(lake.append_controls(std::slice::from_ref(&recorded)));
    appended.context("it was not recorded, and nothing changes")?;
    match context.output {
        Some(OutputFormat::Json) => line(&json_pretty(&control_record(&recorded)?)?),
        Some(OutputFormat::Ndjson) => line(&json(&control_record(&recorded)?)?),
        _ => line(&printable(text)),
    }
}

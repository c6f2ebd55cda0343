//! `tradewind demo`: the whole way on a small made-up network: log files, import, detection, questions.
//!
//! Every step runs the very command that it shows, on files in a folder of its own.

mod envoy_log;
mod inventory;
mod network;
mod policy;
mod vpc_log;

use crate::args::{Cli, Command, GlobalArgs};
use crate::commands;
use crate::config::{self, Sources};
use crate::context::Context;
use crate::failure::usage;
use crate::output::{counted, line};
use anyhow::{Context as _, anyhow};
use clap::{Args, Parser as _};
use network::{Network, Scenario, Story};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tradewind_model::time::{DAY, HOUR, SECOND, rfc3339};

/// The configuration of the demo: what a user would write who has an inventory.
const CONFIG: &str =
    "[lake]\npath = \"lake\"\n\n[inventory]\nfile = \"inventory.csv\"\n\n[policy]\npath = \"policy.toml\"\n";
/// The hour of the day at which the made-up traffic begins.
const START_HOUR: i64 = 9;

/// Show the whole way on a small made-up network, in under a minute
///
/// Makes two hours of traffic of about 40 services, in which one AI agent is taken over and moves towards the payments
/// service; writes it as AWS VPC flow logs and Envoy access logs; imports these, runs the detectors, checks the declared
/// communication policy, and asks three questions in SQL. Nothing outside of one folder is read or written, and nothing
/// leaves the machine.
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Keep the files in this folder, to go on with them; it must be empty or absent [default: a temporary folder that is
    /// removed]
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,

    /// Which story is told
    #[arg(long, value_enum, value_name = "NAME", default_value_t = Scenario::A)]
    scenario: Scenario,

    /// Seed of the made-up traffic
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

pub(crate) fn run(args: &DemoArgs, context: &Context) -> anyhow::Result<()> {
    let began = Instant::now();
    let (folder, temporary) = folder(args.keep.as_deref())?;
    let yesterday = (context.clock.now().div_euclid(DAY) - 1) * DAY;
    let network = network::generate(args.seed, (yesterday + START_HOUR * HOUR) / SECOND, args.scenario);
    let demo = Demo { folder, context };
    demo.write(&network)?;
    demo.import()?;
    demo.detect(network.story())?;
    demo.check_policy()?;
    demo.ask(network.story())?;
    demo.close(temporary.is_none(), began)
}

/// Where the demo works, and what removes it at the end.
fn folder(keep: Option<&Path>) -> anyhow::Result<(PathBuf, Option<tempfile::TempDir>)> {
    let Some(keep) = keep else {
        let temporary = tempfile::Builder::new().prefix("tradewind-demo-").tempdir();
        let temporary = temporary.context("failed to make a temporary folder")?;
        return Ok((temporary.path().to_owned(), Some(temporary)));
    };
    std::fs::create_dir_all(keep).with_context(|| format!("failed to make the folder {}", keep.display()))?;
    let mut entries =
        std::fs::read_dir(keep).with_context(|| format!("failed to read the folder {}", keep.display()))?;
    if entries.next().is_some() {
        return Err(usage(format!("--keep {}: the folder is not empty; name a new one", keep.display())));
    }
    let folder = std::path::absolute(keep).with_context(|| format!("failed to find the folder {}", keep.display()))?;
    Ok((folder, None))
}

struct Demo<'a> {
    folder: PathBuf,
    context: &'a Context,
}

impl Demo<'_> {
    fn write(&self, network: &Network) -> anyhow::Result<()> {
        let services = network.services.iter().filter(|service| service.kind() != "external").count();
        heading("1. A small network")?;
        line(&format!(
            "{services} services and AI agents call each other for two hours, from {}. Proxies in front of some write\n\
             Envoy access logs; the cloud writes VPC flow logs of the rest. An inventory says what each address is, and\n\
             a policy whom the agents may contact and who may contact the payments service and the vault.",
            rfc3339(network.start * SECOND)
        ))?;
        let files = network.vpc_files().into_iter().chain(network.envoy_files());
        let (mut count, mut bytes) = (0, 0);
        for (path, text) in files {
            count += 1;
            bytes += text.len();
            self.write_file(&format!("logs/{path}"), &text)?;
        }
        self.write_file("inventory.csv", &network.inventory_csv())?;
        self.write_file("policy.toml", policy::TEXT)?;
        self.write_file(config::FILE_NAME, CONFIG)?;
        line(&format!(
            "{} with {:.1} MB are in {}/logs.",
            counted(count, "log file", "log files"),
            bytes as f64 / 1e6,
            self.folder.display()
        ))
    }

    fn import(&self) -> anyhow::Result<()> {
        heading("2. Import: the logs become one table")?;
        self.command(&["import", "logs"])
    }

    fn detect(&self, story: &Story) -> anyhow::Result<()> {
        heading("3. Detect: what is not as it was?")?;
        line("The first half hour teaches what is normal. Then every five minutes of every service are judged.")?;
        self.command(&["detect"])?;
        let (at, agent) = (clock_time(story.taken_over_at), story.agent);
        let tried = counted(story.probed.len(), "service", "services");
        let Story { pivot, target, target_calls, deployed, .. } = story;
        line(&match story.scenario {
            Scenario::A => format!(
                "What had been hidden in the traffic: at {at} the agent {agent} was taken over and tried {tried}; at {}\n\
                 it reached {pivot}, and from there, at {}, {target} was called for the first of {target_calls} times.\n\
                 Meanwhile {deployed} got a new instance, which is no finding.",
                clock_time(story.pivoted_at),
                clock_time(story.target_from),
            ),
            Scenario::C => format!(
                "What had been hidden in the traffic: at {at} the agent {agent} was taken over and tried {tried}, then\n\
                 {pivot}, then {target} {target_calls} times. The policy is enforced: all of it was denied, and the logs\n\
                 tell. Meanwhile {deployed} got a new instance, which is no finding."
            ),
        })
    }

    fn check_policy(&self) -> anyhow::Result<()> {
        heading("4. Check: what breaks the declared policy?")?;
        line("Every flow was held against policy.toml when it was imported. The same over the whole period:")?;
        self.command(&["policy", "check"])
    }

    fn ask(&self, story: &Story) -> anyhow::Result<()> {
        heading("5. Ask: three questions in SQL")?;
        let (agent, target) = (name_of(story.agent), name_of(story.target));
        line(&format!("What did {agent} do that its policy denies?"))?;
        self.command(&[
            "sql",
            &format!(
                "SELECT dst_entity, dst_port, outcome, count(*) AS flows, min(start_time) AS first FROM flows \
                 WHERE src_entity LIKE '%/{agent}' AND declared_verdict = 'denied' GROUP BY 1, 2, 3 ORDER BY first LIMIT 10"
            ),
        ])?;
        line("Which pairs of services talked for the first time after the first hour?")?;
        let after = rfc3339((story.taken_over_at - 1200) * SECOND);
        self.command(&[
            "sql",
            &format!(
                "SELECT src_entity, dst_entity, dst_port, min(start_time) AS first, count(*) AS flows FROM flows \
                 GROUP BY 1, 2, 3 HAVING min(start_time) > '{after}' ORDER BY first LIMIT 10"
            ),
        ])?;
        line(&format!("Who calls {target}, and since when?"))?;
        self.command(&[
            "sql",
            &format!(
                "SELECT src_entity, min(start_time) AS first, count(*) AS flows, sum(bytes_out) AS bytes_out FROM flows \
                 WHERE dst_entity LIKE '%/{target}' AND outcome = 'allowed' GROUP BY 1 ORDER BY first DESC LIMIT 5"
            ),
        ])
    }

    fn close(&self, is_kept: bool, began: Instant) -> anyhow::Result<()> {
        heading(&format!("That was all, in {:.0} seconds", began.elapsed().as_secs_f64()))?;
        if is_kept {
            return line(&format!("To go on:\n  cd {}\n  tradewind findings\n  tradewind sql", self.folder.display()));
        }
        line(
            "The files are removed. To keep them and go on: tradewind demo --keep demo\n\
             With your own logs: tradewind import LOGS, then tradewind detect and tradewind sql",
        )
    }

    fn write_file(&self, path: &str, text: &str) -> anyhow::Result<()> {
        let path = self.folder.join(path);
        let parent = path.parent().unwrap_or(&self.folder);
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, text))
            .with_context(|| format!("failed to write {}", path.display()))
    }

    /// Shows a command as one would type it in the demo's folder, and runs it.
    fn command(&self, words: &[&str]) -> anyhow::Result<()> {
        line(&format!("\n$ tradewind {}", typed(words)))?;
        let located = words.iter().map(|word| match *word {
            "logs" => self.folder.join("logs").into_os_string(),
            word => word.into(),
        });
        let cli = Cli::try_parse_from(std::iter::once("tradewind".into()).chain(located))?;
        // The demo's own settings only: what the user has set for other lakes must not reach this one.
        let flags = GlobalArgs { config: Some(self.folder.join(config::FILE_NAME)), ..cli.global };
        let sources = Sources { flags: &flags, environment: &|_| None, working_folder: self.folder.clone() };
        let context = Context { settings: config::load(&sources)?.settings, output: None, ..self.context.clone() };
        if matches!(cli.command, Command::Demo(_) | Command::Config(_) | Command::Completions(_)) {
            return Err(anyhow!("the demo does not run this command"));
        }
        commands::run(cli.command, &context)?;
        line("")
    }
}

fn heading(text: &str) -> anyhow::Result<()> {
    line(&format!("\n== {text}"))
}

/// The words as a shell takes them.
fn typed(words: &[&str]) -> String {
    let quoted = words
        .iter()
        .map(|word| if word.contains(char::is_whitespace) { format!("\"{word}\"") } else { (*word).to_owned() });
    quoted.collect::<Vec<_>>().join(" ")
}

/// The last part of `namespace/name`.
fn name_of(service: &str) -> &str {
    service.rsplit_once('/').map_or(service, |(_, name)| name)
}

/// `10:20` of unix seconds.
fn clock_time(seconds: i64) -> String {
    rfc3339(seconds * SECOND).chars().skip(11).take(5).collect()
}

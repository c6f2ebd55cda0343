//! A whole installation: the servers, the topics, and the processes of the service. What is done to it is not known here.

use crate::configuration::{self, FILES_TOPIC, LogAt, ProcessSettings, Sources};
use crate::ports;
use crate::process::{Process, Program, tail};
use crate::producers::Lane;
use crate::traffic;
use anyhow::{Context as _, bail};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tradewind_kafka_testkit::{FaultyHttp, Kafka, KafkaOptions, S3, Toxiproxy};

/// Names of the proxies.
pub(crate) const KAFKA_PROXY: &str = "kafka";
pub(crate) const S3_PROXY: &str = "s3";
const LAKE: &str = "s3://lake/torture";
/// How long a process may take to end in order: its grace period, and some more.
const END_LIMIT: Duration = Duration::from_secs(45);
const TOPICS_LIMIT: Duration = Duration::from_secs(60);

/// Stages that are processes of their own on Kafka.
pub(crate) const STAGES: [&str; 5] = ["collect", "normalise", "store", "detect", "correlate"];
/// Processes of each.
const COPIES: usize = 2;

/// Which log the stages use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogKind {
    /// Apache Kafka, each stage in processes of its own, the lake on S3
    Kafka,
    /// The embedded log, all stages in one process, the lake on the local disk
    Embedded,
}

/// What stands behind the service.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) kafka: Kafka,
    pub(crate) s3: S3,
    pub(crate) toxiproxy: Toxiproxy,
    pub(crate) faulty: FaultyHttp,
}

/// The installation. All of it ends with this value.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) processes: Vec<Process>,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) servers: Option<Servers>,
    pub(crate) folder: PathBuf,
    program: PathBuf,
    /// Configuration and environment of commands that are not disturbed.
    direct: (PathBuf, Vec<(String, String)>),
    /// The same for those that are.
    disturbed: (PathBuf, Vec<(String, String)>),
}

impl System {
    /// Starts everything in a folder. With `is_disturbed` false there are no proxies to disturb it with.
    ///
    /// # Errors
    /// A server that cannot be had (downcasts to `ServerError`) or started; topics that cannot be made.
    pub(crate) fn start(kind: LogKind, program: &Path, folder: &Path, seed: u64) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
        write(&folder.join(configuration::INVENTORY), &traffic::inventory())?;
        write(&folder.join(configuration::POLICY), traffic::POLICY)?;
        match kind {
            LogKind::Kafka => Self::on_kafka(program, folder, seed),
            LogKind::Embedded => Self::on_embedded(program, folder, seed),
        }
    }

    fn on_embedded(program: &Path, folder: &Path, seed: u64) -> anyhow::Result<Self> {
        let ports = ports::free(2)?;
        let folders = vec![folder.join("files-0"), folder.join("files-1")];
        let settings = ProcessSettings {
            name: "tradewind-0".to_owned(),
            stages: &STAGES,
            port: ports[0],
            log: LogAt::Embedded,
            lake: folder.join("lake").display().to_string(),
            sources: Sources { push_port: Some(ports[1]), folders: folders.clone() },
        };
        let file = folder.join("tradewind-0.toml");
        write(&file, &configuration::text(&settings, folder))?;
        let mut lanes = vec![Lane::Push { port: ports[1] }; 4];
        lanes.extend(folders.into_iter().map(|folder| Lane::File { folder }));
        let process = Process::start(Self::program(program, folder, &settings.name, &file, &[]), seed);
        let direct = (file, Vec::new());
        Ok(Self {
            processes: vec![process],
            lanes,
            servers: None,
            folder: folder.to_owned(),
            program: program.to_owned(),
            disturbed: direct.clone(),
            direct,
        })
    }

    fn on_kafka(program: &Path, folder: &Path, seed: u64) -> anyhow::Result<Self> {
        let kafka = Kafka::start(KafkaOptions { has_faulty_listener: true, ..KafkaOptions::default() })?;
        let s3 = S3::start_in(&folder.join("s3"))?;
        let toxiproxy = Toxiproxy::start()?;
        let proxied = kafka.route_through(&toxiproxy, KAFKA_PROXY)?;
        let faulty = FaultyHttp::start(&toxiproxy.proxy(S3_PROXY, "127.0.0.1:0", &s3.address())?)?;
        let owned = |environment: Vec<(&'static str, String)>| {
            environment.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Vec<_>>()
        };
        let environment = owned(s3.environment_at(&faulty.endpoint()));
        let ports = ports::free(STAGES.len() * COPIES + COPIES)?;
        let (push_ports, page_ports) = ports.split_at(COPIES);
        let mut lanes: Vec<Lane> =
            push_ports.iter().flat_map(|&port| [Lane::Push { port }, Lane::Push { port }]).collect();
        let mut settings = Vec::new();
        for (number, &port) in page_ports.iter().enumerate() {
            let (stage, copy) = (&STAGES[number / COPIES..=number / COPIES], number % COPIES);
            let folders = vec![folder.join(format!("files-{copy}"))];
            let is_collector = stage[0] == "collect";
            settings.push(ProcessSettings {
                name: format!("{}-{copy}", stage[0]),
                stages: stage,
                port,
                // The second of each stage reaches the broker through the proxy.
                log: LogAt::Kafka { brokers: if copy == 1 { proxied.clone() } else { kafka.bootstrap() } },
                lake: LAKE.to_owned(),
                sources: match is_collector {
                    true => Sources { push_port: Some(push_ports[copy]), folders: folders.clone() },
                    false => Sources::default(),
                },
            });
            if is_collector {
                lanes.extend(folders.into_iter().map(|folder| Lane::File { folder }));
            }
        }
        let file_of = |settings: &ProcessSettings| folder.join(format!("{}.toml", settings.name));
        for settings in &settings {
            write(&file_of(settings), &configuration::text(settings, folder))?;
        }
        let config = file_of(settings.first().context("there are no processes")?);
        let mut system = Self {
            processes: Vec::new(),
            lanes,
            folder: folder.to_owned(),
            program: program.to_owned(),
            direct: (config.clone(), owned(s3.environment())),
            disturbed: (config, environment.clone()),
            servers: Some(Servers { kafka, s3, toxiproxy, faulty }),
        };
        system.create_topics()?;
        let program = |settings: &ProcessSettings| {
            Self::program(program, folder, &settings.name, &file_of(settings), &environment)
        };
        system.processes = settings.iter().map(|settings| Process::start(program(settings), seed)).collect();
        Ok(system)
    }

    fn program(path: &Path, folder: &Path, name: &str, file: &Path, environment: &[(String, String)]) -> Program {
        Program {
            name: name.to_owned(),
            path: path.to_owned(),
            arguments: vec!["run".to_owned(), "--config".to_owned(), file.display().to_string()],
            environment: environment.to_vec(),
            log: folder.join(format!("{name}.log")),
        }
    }

    fn create_topics(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut create = self.command("topics", &["topics", "create"], false)?.command()?;
        while !create.status().context("failed to start tradewind")?.success() {
            if begun.elapsed() > TOPICS_LIMIT {
                bail!("`tradewind topics create` fails:\n{}", tail(&self.folder.join("topics.log"), 10));
            }
        }
        if let Some(servers) = &self.servers {
            // One partition: that of a file that was rotated away would have no records any more, and hold detection back.
            servers.kafka.create_topic(FILES_TOPIC, 1, &[])?;
        }
        Ok(())
    }

    /// A command of `tradewind` on this installation, past the proxies or through them; `name` names its log.
    pub(crate) fn command(&self, name: &str, arguments: &[&str], is_disturbed: bool) -> anyhow::Result<Program> {
        let (config, environment) = if is_disturbed { &self.disturbed } else { &self.direct };
        let mut all = vec!["--config".to_owned(), config.display().to_string()];
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        Ok(Program {
            name: name.to_owned(),
            path: self.program.clone(),
            arguments: all,
            environment: environment.clone(),
            log: self.folder.join(format!("{name}.log")),
        })
    }

    /// Ends all processes in the order of the stages. Names of those that took too long.
    pub(crate) fn end(&mut self) -> Vec<String> {
        let mut late = Vec::new();
        for process in &mut self.processes {
            if !process.end(END_LIMIT) {
                late.push(process.name.clone());
            }
        }
        late
    }

    /// What a person needs to see what happened: also of the servers, whose folders go with them.
    pub(crate) fn keep_logs(&self) {
        if let Some(servers) = &self.servers {
            // A log that cannot be kept is not what the run is about.
            std::fs::copy(servers.kafka.log_file(), self.folder.join("kafka.log")).ok();
        }
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}

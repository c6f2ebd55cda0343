//! Which way an operation moves data, by application protocol: into what the responder keeps for others, or out of it. Only
//! words that the protocols' own documents define; what creates, lists, locks or deletes moves no data from one client to
//! another and is not here.
//!
//! Words are compared without regard to case and to what is between letters and digits (`Basic.Publish`, `basic_publish`).

/// Which way data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// To the resource.
    Write,
    /// From the resource.
    Read,
}

/// What kind of thing a resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noun {
    /// Of a broker.
    Topic,
    /// Of a broker.
    Queue,
    /// Of a broker.
    Subject,
    /// Of a database; collections and indices, too.
    Table,
    /// Of a store of keys.
    Key,
    /// Of a file server.
    Share,
    /// Of a file server.
    Export,
    /// Of an object store.
    Bucket,
}

impl Noun {
    /// The word in texts.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Queue => "queue",
            Self::Subject => "subject",
            Self::Table => "table",
            Self::Key => "key",
            Self::Share => "share",
            Self::Export => "export",
            Self::Bucket => "bucket",
        }
    }
}

/// One family of protocols.
struct Family {
    /// Names of the protocol.
    protocols: &'static [&'static str],
    noun: Noun,
    writes: &'static [&'static str],
    reads: &'static [&'static str],
}

/// The families. In all words only small letters and digits.
const FAMILIES: [Family; 10] = [
    // Apache Kafka protocol guide (kafka.apache.org/protocol), API keys 0 and 1; `consume` is the words of its clients.
    Family {
        protocols: &["kafka"],
        noun: Noun::Topic,
        writes: &["produce", "publish", "send"],
        reads: &["fetch", "consume", "poll", "receive"],
    },
    // AMQP 0-9-1 reference (amqp.org), class basic; OpenTelemetry's messaging operations for the plain words.
    Family {
        protocols: &["amqp", "amqps", "rabbitmq"],
        noun: Noun::Queue,
        writes: &["basicpublish", "publish", "send", "produce"],
        reads: &["basicget", "basicdeliver", "basicconsume", "get", "deliver", "consume", "receive"],
    },
    // NATS client protocol (docs.nats.io/reference/nats-protocols): PUB and HPUB of the client, SUB, MSG and HMSG.
    Family {
        protocols: &["nats"],
        noun: Noun::Subject,
        writes: &["pub", "hpub", "publish"],
        reads: &["sub", "msg", "hmsg", "subscribe", "consume"],
    },
    // MQTT 5.0 (OASIS), sections 3.3 and 3.8. A publication by the broker is one to its subscriber and has no name of its own.
    Family { protocols: &["mqtt", "mqtts"], noun: Noun::Topic, writes: &["publish"], reads: &["subscribe"] },
    // Redis commands (redis.io/commands): strings, hashes, lists, sets, streams and channels.
    Family {
        protocols: &["redis", "valkey"],
        noun: Noun::Key,
        writes: &[
            "set", "setex", "psetex", "setnx", "getset", "mset", "append", "incr", "decr", "hset", "hmset", "lpush",
            "rpush", "lpushx", "rpushx", "lset", "sadd", "zadd", "xadd", "publish",
        ],
        reads: &[
            "get",
            "mget",
            "getdel",
            "getex",
            "getrange",
            "hget",
            "hmget",
            "hgetall",
            "hvals",
            "lpop",
            "rpop",
            "blpop",
            "brpop",
            "lrange",
            "lindex",
            "lmove",
            "blmove",
            "smembers",
            "spop",
            "zrange",
            "zpopmin",
            "zpopmax",
            "xread",
            "xreadgroup",
            "subscribe",
            "psubscribe",
        ],
    },
    // SQL (ISO/IEC 9075-2, sections 14.8 to 14.14), PostgreSQL's and MySQL's own COPY and LOAD DATA where the direction is told.
    Family {
        protocols: &["postgresql", "postgres", "mysql", "mariadb", "mssql", "tds", "oracle", "cassandra", "sql"],
        noun: Noun::Table,
        writes: &["insert", "insertinto", "update", "merge", "mergeinto", "replace", "upsert", "copyfrom", "loaddata"],
        reads: &["select", "copyto", "fetch", "table"],
    },
    // MongoDB wire commands (mongodb.com/docs/manual/reference/command/nav-crud).
    Family {
        protocols: &["mongodb", "mongo"],
        noun: Noun::Table,
        writes: &["insert", "update", "findandmodify", "bulkwrite"],
        reads: &["find", "aggregate", "getmore", "distinct"],
    },
    // [MS-SMB2] sections 2.2.19 and 2.2.21, [MS-CIFS] for the older commands.
    Family {
        protocols: &["smb", "smb1", "smb2", "smb3", "cifs"],
        noun: Noun::Share,
        writes: &["write", "smb2write", "smbcomwrite", "writeandx", "smbcomwriteandx", "put"],
        reads: &["read", "smb2read", "smbcomread", "readandx", "smbcomreadandx", "get"],
    },
    // NFS version 3 (RFC 1813) and 4 (RFC 7530): WRITE and READ.
    Family {
        protocols: &["nfs", "nfs3", "nfs4", "nfsv3", "nfsv4"],
        noun: Noun::Export,
        writes: &["write", "nfsproc3write", "opwrite"],
        reads: &["read", "nfsproc3read", "opread"],
    },
    BUCKETS,
];

/// Amazon S3 API reference and the operations of its server access log, which other object stores speak too; HTTP's methods
/// (RFC 9110 section 9.3) where the resource says that it is an object.
const BUCKETS: Family = Family {
    protocols: &["s3", "gcs", "minio", "swift", "azureblob"],
    noun: Noun::Bucket,
    writes: &[
        "put",
        "post",
        "putobject",
        "copyobject",
        "uploadpart",
        "completemultipartupload",
        "restputobject",
        "restpostobject",
        "restputpart",
        "restpostupload",
        "restcopyobject",
        "putblob",
        "putblock",
    ],
    reads: &["get", "getobject", "selectobjectcontent", "restgetobject", "getblob"],
};

/// What begins the name of an object, whatever the protocol is called.
const OBJECT_NAMES: [&str; 5] = ["s3://", "gs://", "abfs://", "abfss://", "arn:aws:s3:::"];

/// Longest word of the tables.
const WORD_MAX: usize = 32;

/// What kind of thing an operation is about and which way data goes; none where that is not known.
pub(super) fn direction(protocol: Option<&str>, operation: &str, resource: &str) -> Option<(Noun, Direction)> {
    let starts = |start: &&str| resource.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start));
    let family = if OBJECT_NAMES.iter().any(starts) {
        &BUCKETS
    } else {
        let protocol = protocol?.trim();
        let is_named = |family: &&Family| family.protocols.iter().any(|name| name.eq_ignore_ascii_case(protocol));
        FAMILIES.iter().find(is_named)?
    };
    let mut word = [0; WORD_MAX];
    let mut length = 0;
    for byte in operation.bytes().filter(u8::is_ascii_alphanumeric) {
        *word.get_mut(length)? = byte.to_ascii_lowercase();
        length += 1;
    }
    let has = |words: &[&str]| words.iter().any(|known| known.as_bytes() == &word[..length]);
    match (has(family.writes), has(family.reads)) {
        (true, _) => Some((family.noun, Direction::Write)),
        (false, true) => Some((family.noun, Direction::Read)),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_as_they_are_compared_and_have_one_direction() {
        for family in &FAMILIES {
            let words = family.writes.iter().chain(family.reads).chain(family.protocols);
            for word in words {
                let is_plain = word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
                assert!(is_plain && word.len() <= WORD_MAX, "{word}");
            }
            assert!(family.writes.iter().all(|word| !family.reads.contains(word)), "{:?}", family.protocols);
        }
    }

    fn check(protocol: &str, operation: &str, expected: Option<Direction>) {
        let found = direction(Some(protocol), operation, "a").map(|(_, direction)| direction);
        assert_eq!(found, expected, "{protocol} {operation}");
    }

    #[test]
    fn spelling_does_not_matter() {
        for word in ["Basic.Publish", "basic_publish", " BASIC PUBLISH "] {
            check("AMQP", word, Some(Direction::Write));
        }
        check("redis", "BLPOP", Some(Direction::Read));
        check("redis", "EXPIRE", None);
        check("mysql", "LOAD DATA", Some(Direction::Write));
        check("kafka", "", None);
        check("kafka", &"fetch".repeat(20), None);
    }
}

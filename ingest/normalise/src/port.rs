//! Which end of a connection is the service, told by its two ports alone. Not by the traffic around it: what is learnt
//! from a batch would change with the batch's borders, and a replay would not give the same rows.

/// What two ports tell about who opened the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PortOrientation {
    /// The second port is the service's: the order is right.
    Keep,
    /// The first port is the service's: the ends are the wrong way round.
    Swap,
    /// They do not tell.
    Unknown,
}

/// Where Linux begins to take ports for outgoing connections (`net.ipv4.ip_local_port_range`, 32768 to 60999). It lies
/// below the dynamic ports of RFC 6335 section 6 (49152), which Windows and macOS use.
const EPHEMERAL_MIN: usize = 32_768;
/// System ports end before it (RFC 6335 section 6).
const SYSTEM_END: usize = 1_024;

/// How service-like a port is; the lower, the more.
const LISTED: u8 = 0;
const SYSTEM: u8 = 1;
const USER: u8 = 2;
const EPHEMERAL: u8 = 3;
/// Port 0 is reserved: it stands in logs for "has no port".
const NONE: u8 = 4;

/// Ports on which servers commonly listen. Source: IANA, "Service Name and Transport Protocol Port Number Registry", and
/// for those marked * the default of the product named. A client that takes a port below 1024 (NFS, rsh) does not
/// outrank them.
const SERVICES: &[u16] = &[
    20, 21, 22, 23, 25, 37, 43, 49, // ftp, ssh, telnet, smtp, time, whois, tacacs
    53, 67, 69, 70, 79, 80, 88, // domain, dhcp, tftp, gopher, finger, http, kerberos
    102, 110, 111, 113, 119, 123, 135, 137, 138, 139,
    143, // s7, pop3, sunrpc, ident, nntp, ntp, epmap, netbios, imap
    161, 162, 179, 194, 264, 389, 427, 443, 444, 445, 464,
    465, // snmp, bgp, irc, ldap, svrloc, https, smb, kpasswd
    500, 502, 514, 515, 520, 523, 524, 543, 546, 547, 548, 554, 587,
    593, // isakmp, modbus, syslog, printer, rip, afp
    623, 631, 636, 646, 655, 666, 749, 830, 853, 860,
    873, // ipmi, ipp, ldaps, ldp, kerberos-adm, netconf, dns over tls
    902, 953, 989, 990, 992, 993, 995, // vmware *, rndc, ftps, telnets, imaps, pop3s
    1080, 1099, 1194, 1344, 1352, 1433, 1434, 1494, // socks, rmi, openvpn, icap, lotus notes, ms-sql, citrix
    1514, 1515, 1521, 1526, 1540, 1645, 1646, 1701, 1720,
    1723, // wazuh *, oracle, radius (old), l2tp, h.323, pptp
    1812, 1813, 1883, 1900, 1935, // radius, mqtt, ssdp, rtmp
    2000, 2049, 2082, 2083, 2086, 2087, 2181, 2222, 2375, 2376, 2377, 2379,
    2380, // sccp, nfs, zookeeper *, docker, etcd
    2404, 2483, 2484, 2525, 2598, 2638, 2947, // iec-104, oracle, smtp *, citrix, sybase, gpsd
    3000, 3001, 3100, 3128, 3200, 3260, 3268, 3269, 3299,
    3300, // grafana *, loki *, squid *, sap *, iscsi, ms global catalog
    3306, 3389, 3478, 3479, 3517, 3632, 3690, 3868, // mysql, rdp, stun, distcc, svn, diameter
    4000, 4040, 4143, 4191, 4222, 4317, 4318, 4369, 4433, 4500, // nats *, linkerd *, otlp, epmd, ipsec nat-t
    4567, 4646, 4647, 4648, 4739, 4789, 4840, 4848, // galera *, nomad *, ipfix, vxlan, opc-ua, glassfish *
    5000, 5001, 5004, 5005, 5044, 5060, 5061, 5222, 5223, 5269, 5353,
    5355, // registry *, rtp, beats *, sip, xmpp, mdns, llmnr
    5432, 5433, 5439, 5500, 5555, 5601, 5671, 5672, 5683,
    5684, // postgresql, redshift *, vnc, kibana *, amqp, coap
    5800, 5900, 5901, 5984, 5985, 5986, 5988, 5989, // vnc, couchdb, winrm, wbem
    6000, 6081, 6123, 6343, 6379, 6380, 6443, 6514,
    6543, // x11, geneve, flink *, sflow, redis, kube-apiserver *, syslog-tls
    6432, 6633, 6650, 6653, 6651, 6667, 6697, // pgbouncer *, openflow, pulsar *, irc
    7000, 7001, 7002, 7077, 7199, 7443, 7473, 7474, 7687, // cassandra *, weblogic *, spark *, neo4j *
    7946, 7979, // docker swarm *
    8000, 8001, 8002, 8008, 8009, 8010, 8020, 8042, 8080, 8081, 8082, 8083, 8084, 8085, 8086,
    8087, // http alternates
    8088, 8089, 8090, 8091, 8092, 8093, 8125, 8140, 8161, 8181, 8188, 8200,
    8201, // couchbase *, statsd *, puppet *, vault *
    8300, 8301, 8302, 8333, 8400, 8404, 8443, 8472, 8480, 8500, 8501, 8502, 8529, 8554,
    8600, // consul *, flannel *, arangodb *
    8649, 8686, 8765, 8834, 8848, 8880, 8883, 8888, 8983, // ganglia *, nessus *, nacos *, mqtts, solr *
    9000, 9001, 9002, 9009, 9042, 9060, 9080, 9083, 9090, 9091, 9092, 9093, 9094, 9095,
    9096, // clickhouse *, prometheus *, kafka *
    9100, 9102, 9104, 9113, 9115, 9121, 9142, 9153, 9160, 9187, 9200, 9201, 9300,
    9301, // exporters *, elasticsearch *
    9411, 9418, 9443, 9500, 9600, 9876, 9901, 9990, 9991, 9993, 9995, 9996, 9997, 9998,
    9999, // zipkin *, git, envoy admin *, netflow *
    10_000, 10_050, 10_051, 10_248, 10_249, 10_250, 10_255, 10_256, 10_257, 10_259, // webmin *, zabbix, kubelet *
    10_911, 11_211, 11_214, 11_300, 11_434, 12_201,
    12_345, // rocketmq *, memcached, beanstalkd *, ollama *, gelf *
    13_133, 14_250, 14_268, 15_000, 15_001, 15_006, 15_008, 15_010, 15_012, 15_014, 15_017, 15_020,
    15_021, // jaeger *, istio *
    15_090, 15_443, 15_671, 15_672, 15_692, 16_379, 16_443, 16_686, 17_017, 18_080,
    18_088, // istio *, rabbitmq *, jaeger *
    19_000, 19_530, 19_999, 20_000, 20_880, 21_000, 22_000, // milvus *, netdata *, dnp3, dubbo *
    24_224, 25_565, 25_672, 26_257, 26_379, 27_017, 27_018, 27_019, 28_015, 29_092,
    30_303, // fluentd *, cockroachdb *, mongodb *
];

/// Ports on which servers commonly listen though clients are given them too: they are services only beside a port that is
/// plainly ephemeral.
const HIGH_SERVICES: &[u16] = &[
    33_060, 44_818, 47_808, 50_000, 50_010, 50_020, 50_051, 50_052, 50_070, 51_820, 61_613, 61_614,
    61_616, // mysql x, ethernet/ip, bacnet, db2 *, hdfs *, grpc *, wireguard *, activemq *
];

static CLASSES: [u8; 65_536] = classes();

const fn classes() -> [u8; 65_536] {
    let mut classes = [EPHEMERAL; 65_536];
    let mut port = 0;
    while port < EPHEMERAL_MIN {
        classes[port] = if port < SYSTEM_END { SYSTEM } else { USER };
        port += 1;
    }
    let mut index = 0;
    while index < SERVICES.len() {
        classes[SERVICES[index] as usize] = LISTED;
        index += 1;
    }
    index = 0;
    while index < HIGH_SERVICES.len() {
        classes[HIGH_SERVICES[index] as usize] = USER;
        index += 1;
    }
    classes[0] = NONE;
    classes
}

/// What two ports tell. The service is the end whose port is the more service-like: listed, else a system port (below
/// 1024), else below the ephemeral ports (32768). Two ports of one kind tell nothing, nor does a port that is absent or 0.
#[must_use]
#[inline]
pub fn port_orientation(src_port: i64, dst_port: i64) -> PortOrientation {
    let class = |port: i64| usize::try_from(port).ok().and_then(|port| CLASSES.get(port).copied()).unwrap_or(NONE);
    let (src, dst) = (class(src_port), class(dst_port));
    if src == NONE || dst == NONE || src == dst {
        PortOrientation::Unknown
    } else if dst < src {
        PortOrientation::Keep
    } else {
        PortOrientation::Swap
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PortOrientation::{Keep, Swap, Unknown};
    use tradewind_model::NULL_NUM;

    #[test]
    fn pairs_of_ports() {
        for (src, dst, expected) in [
            (49_152, 443, Keep),
            (32_768, 8_080, Keep),
            (1_500, 443, Keep),     // a client behind address translation
            (800, 2_049, Keep),     // an NFS client on a reserved port
            (40_000, 1_000, Keep),  // a system port that is not listed
            (20_001, 1_000, Keep),  // beside a user port
            (40_000, 12_000, Keep), // a user port that is not listed
            (40_000, 50_051, Keep), // a service within the ephemeral ports
            (50_051, 443, Keep),    // which a client was given by chance
            (50_051, 40_000, Swap),
            (12_000, 50_051, Unknown),
            (40_000, 50_101, Unknown),
            (12_000, 12_001, Unknown),
            (53, 53, Unknown),
            (443, 8_443, Unknown),
            (0, 443, Unknown),
            (0, 0, Unknown),
            (NULL_NUM, 443, Unknown),
            (40_000, NULL_NUM, Unknown),
            (65_536, 443, Unknown),
            (-1, 443, Unknown),
        ] {
            assert_eq!(port_orientation(src, dst), expected, "{src} -> {dst}");
            let reverse = match expected {
                Keep => Swap,
                Swap => Keep,
                Unknown => Unknown,
            };
            assert_eq!(port_orientation(dst, src), reverse, "{dst} -> {src}");
        }
    }

    #[test]
    fn lists_hold_what_they_say() {
        assert!(SERVICES.iter().all(|&port| port > 0 && usize::from(port) < EPHEMERAL_MIN));
        assert!(HIGH_SERVICES.iter().all(|&port| usize::from(port) >= EPHEMERAL_MIN));
    }
}

//! The Community ID against the reference implementation, and what our own names tell apart.

use super::*;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Seed, protocol, source, its port, destination, its port.
type Case = (u16, u8, &'static str, Option<u16>, &'static str, Option<u16>);
type Vector = (u16, u8, &'static str, Option<u16>, &'static str, Option<u16>, Option<&'static str>);

/// Printed by `communityid` 1.5.0 of PyPI; the first ones are of its own test suite.
#[rustfmt::skip]
const VECTORS: &[Vector] = &[
    (0, 6, "128.232.110.120", Some(34_855), "66.35.250.204", Some(80), Some("1:LQU9qZlK+B5F3KDmev6m5PMibrg=")),
    (0, 6, "66.35.250.204", Some(80), "128.232.110.120", Some(34_855), Some("1:LQU9qZlK+B5F3KDmev6m5PMibrg=")),
    (0, 17, "192.168.1.52", Some(54_585), "8.8.8.8", Some(53), Some("1:d/FP5EW3wiY1vCndhwleRRKHowQ=")),
    (0, 17, "8.8.8.8", Some(53), "192.168.1.52", Some(54_585), Some("1:d/FP5EW3wiY1vCndhwleRRKHowQ=")),
    (0, 132, "192.168.170.8", Some(7), "192.168.170.56", Some(7), Some("1:MP2EtRCAUIZvTw6MxJHLV7N7JDs=")),
    (0, 132, "192.168.170.56", Some(7), "192.168.170.8", Some(7), Some("1:MP2EtRCAUIZvTw6MxJHLV7N7JDs=")),
    (1, 6, "128.232.110.120", Some(34_855), "66.35.250.204", Some(80), Some("1:3V71V58M3Ksw/yuFALMcW0LAHvc=")),
    (1, 6, "66.35.250.204", Some(80), "128.232.110.120", Some(34_855), Some("1:3V71V58M3Ksw/yuFALMcW0LAHvc=")),
    (1, 17, "192.168.1.52", Some(54_585), "8.8.8.8", Some(53), Some("1:Q9We8WO3piVF8yEQBNJF4uiSVrI=")),
    (1, 17, "8.8.8.8", Some(53), "192.168.1.52", Some(54_585), Some("1:Q9We8WO3piVF8yEQBNJF4uiSVrI=")),
    (1, 132, "192.168.170.8", Some(7), "192.168.170.56", Some(7), Some("1:5w3ZRjeKBzqT3zsaEECDGjUbYeg=")),
    (1, 132, "192.168.170.56", Some(7), "192.168.170.8", Some(7), Some("1:5w3ZRjeKBzqT3zsaEECDGjUbYeg=")),
    (0, 1, "192.168.0.89", Some(8), "192.168.0.1", Some(0), Some("1:X0snYXpgwiv9TZtqg64sgzUn6Dk=")),
    (0, 1, "192.168.0.89", Some(0), "192.168.0.1", Some(0), Some("1:Xd3I0IiB3MnC0cDe3fbqH8+dDGI=")),
    (0, 1, "192.168.0.89", Some(13), "192.168.0.1", Some(0), Some("1:oeo0XqAz7cn/+sOcFFOn55Omz0U=")),
    (0, 1, "192.168.0.89", Some(14), "192.168.0.1", Some(0), Some("1:uiloJmzo9VB4N869eqNADHXuQJM=")),
    (0, 1, "192.168.0.89", Some(15), "192.168.0.1", Some(0), Some("1:fOg3Bo3uOxI7xD431D+RTtZCCjw=")),
    (0, 1, "192.168.0.89", Some(16), "192.168.0.1", Some(0), Some("1:6ZCKi6lsG2Rw85OQJ+W89GVQOrE=")),
    (0, 1, "192.168.0.89", Some(10), "192.168.0.1", Some(0), Some("1:ZCE6FYKtYq6/Z5/7VYclhgEesAg=")),
    (0, 1, "192.168.0.89", Some(9), "192.168.0.1", Some(0), Some("1:0hTYL8ekh0YMbFphUlZIMctBe1g=")),
    (0, 1, "192.168.0.89", Some(17), "192.168.0.1", Some(0), Some("1:l6FQTO9IDRsq7cW/KitEu2ab7NM=")),
    (0, 1, "192.168.0.89", Some(18), "192.168.0.1", Some(0), Some("1:6dTj0ptxvEN9+cuc4SfVqQjtlW8=")),
    (0, 1, "192.168.0.89", Some(3), "192.168.0.1", Some(1), Some("1:LXCfhMUFbYXe+CEMrQuZCbiLY3o=")),
    (0, 1, "192.168.0.89", Some(11), "192.168.0.1", Some(0), Some("1:WWhK5yv9t1/eWrodrgw+6KseRoA=")),
    (0, 1, "192.168.0.89", Some(5), "192.168.0.1", Some(2), Some("1:PKixH1LqM/lZhyOOmeafLNT5TyY=")),
    (0, 1, "192.168.0.89", Some(42), "192.168.0.1", Some(7), Some("1:uci/00gvE0wqlJfIfrRGrlyG8zM=")),
    (0, 1, "192.168.0.1", Some(0), "192.168.0.89", Some(0), Some("1:X0snYXpgwiv9TZtqg64sgzUn6Dk=")),
    (0, 1, "192.168.0.1", Some(3), "192.168.0.89", Some(1), Some("1:o3zT92uTgnRWv/YrDVeXcWumpC4=")),
    (0, 58, "fe80::200:86ff:fe05:80da", Some(128), "fe80::260:97ff:fe07:69ea", Some(0), Some("1:QrVnZEjGihSsEkRF1XxqheQ1Za8=")),
    (0, 58, "fe80::200:86ff:fe05:80da", Some(129), "fe80::260:97ff:fe07:69ea", Some(0), Some("1:0v7671U6aMFvKQtpE4ZMYXnSVjQ=")),
    (0, 58, "fe80::200:86ff:fe05:80da", Some(130), "fe80::260:97ff:fe07:69ea", Some(0), Some("1:AqqGbwQfzV0erxPUVV+XZ02Zm5M=")),
    (0, 58, "fe80::200:86ff:fe05:80da", Some(131), "fe80::260:97ff:fe07:69ea", Some(0), Some("1:EWeX0N02fv6kiZ4mtVIrNsLkom4=")),
    (0, 58, "fe80::200:86ff:fe05:80da", Some(133), "fe80::260:97ff:fe07:69ea", Some(0), Some("1:MxMeSyWe6OTpBt36dIzrtH7OcS8=")),
    (0, 58, "fe80::200:86ff:fe05:80da", Some(134), "fe80::260:97ff:fe07:69ea", Some(0), Some("1:QpYRAQH404PdAphcvVTflGzHNos=")),
    (0, 58, "fe80::200:86ff:fe05:80da", Some(135), "fe80::260:97ff:fe07:69ea", Some(0), Some("1:dGHyGvjMfljg6Bppwm3bg0LO8TY=")),
    (0, 58, "fe80::200:86ff:fe05:80da", Some(136), "fe80::260:97ff:fe07:69ea", Some(0), Some("1:zavyT/cezQr1fmImYCwYnMXbgck=")),
    (0, 58, "fe80::200:86ff:fe05:80da", Some(139), "fe80::260:97ff:fe07:69ea", Some(0), Some("1:5M4clpPt0fX67/4bIqQT4gA26Dw=")),
    (0, 58, "fe80::200:86ff:fe05:80da", Some(140), "fe80::260:97ff:fe07:69ea", Some(0), Some("1:cOJwEcSbkW1UEpyFTXIP4GMDabo=")),
    (0, 58, "fe80::200:86ff:fe05:80da", Some(144), "fe80::260:97ff:fe07:69ea", Some(0), Some("1:m49RyQ8yIT9LBEoGoI5SnZktCdQ=")),
    (0, 58, "fe80::200:86ff:fe05:80da", Some(145), "fe80::260:97ff:fe07:69ea", Some(0), Some("1:XQq303/ZTbnZhBfoQdmuW8MWAfU=")),
    (0, 58, "fe80::200:86ff:fe05:80da", Some(1), "fe80::260:97ff:fe07:69ea", Some(4), Some("1:JFKLai0Yy5jldt/ku5XTzXROz0Q=")),
    (0, 58, "fe80::200:86ff:fe05:80da", Some(146), "fe80::260:97ff:fe07:69ea", Some(0), Some("1:zF3q9k3Oja5BY3WbvxMJIfjIuTs=")),
    (0, 58, "fe80::260:97ff:fe07:69ea", Some(129), "fe80::200:86ff:fe05:80da", Some(0), Some("1:QrVnZEjGihSsEkRF1XxqheQ1Za8=")),
    (0, 2, "10.1.24.4", None, "10.1.12.1", None, Some("1:B02sMmNu4HyXe0n3BH/BA/F38bU=")),
    (7, 2, "10.1.12.1", None, "10.1.24.4", None, Some("1:JlkOhqiG300nMhan4abWCswKju4=")),
    (0, 47, "10.1.24.4", None, "10.1.12.1", None, Some("1:6JFBmF1p0LABA19nAHNSi9mGLPM=")),
    (7, 47, "10.1.12.1", None, "10.1.24.4", None, Some("1:HLwjN8G/QhOOVUEu/cT3UdmZV5Y=")),
    (0, 50, "10.1.24.4", None, "10.1.12.1", None, Some("1:bi3iljcHhcLdRZQuBuURakpF2bk=")),
    (7, 50, "10.1.12.1", None, "10.1.24.4", None, Some("1:6Xs7rH+6DOpuFolPXqbYb/1ON6w=")),
    (0, 89, "10.1.24.4", None, "10.1.12.1", None, Some("1:UeePdd6i0U33lcxofRarl2PiCok=")),
    (7, 89, "10.1.12.1", None, "10.1.24.4", None, Some("1:mgPNHdBq9Lq904291MtTVHdiSOI=")),
    (0, 255, "10.1.24.4", None, "10.1.12.1", None, Some("1:gBgFoReucnfH2VpunVJLGvF/BqE=")),
    (7, 255, "10.1.12.1", None, "10.1.24.4", None, Some("1:WnnO+LfUtm7nNpmY7pGY7NcQBsQ=")),
    (0, 0, "10.1.24.4", None, "10.1.12.1", None, Some("1:0HMgulQfG3s9lhTQqAMWABomepY=")),
    (7, 0, "10.1.12.1", None, "10.1.24.4", None, Some("1:xw4YlADvpEnJAzvLy/vNoZqRYMQ=")),
    (0, 46, "2001:db8::1", None, "2001:db8::2", None, Some("1:b4HZeeswj43fA1DxwGsEKgPe+WA=")),
    (0, 33, "10.0.0.2", Some(9), "10.0.0.1", Some(10), Some("1:6hV9LDgZNR3ws0BidgAnWVgc/n8=")),
    (0, 6, "10.0.0.1", Some(80), "10.0.0.1", Some(79), Some("1:veMrQoZMTfvZaXfcXNRhjdZjcGg=")),
    (0, 6, "10.0.0.1", Some(80), "10.0.0.1", Some(80), Some("1:xK6lw4idWvrwNwOsMmGICgbsxLc=")),
    (0, 6, "10.0.0.1", Some(1), "2001:db8::1", Some(2), Some("1:8dOWY3FfKKcAKKH64zKw0SebAMY=")),
    (65_535, 6, "::1", Some(65_535), "::", Some(0), Some("1:/DYSk6hFj5SVmFWSsO+R61BEDXA=")),
    (4242, 6, "2c64:d016:8f7c:16bd:8a12:da68:609f:637e", Some(24_364), "788:a78c:fab4:12e8:19d6:6cad:a713:458c", Some(14_515), Some("1:QCzSjFUHtPE+zCuv9FUEfzJpAFE=")),
    (0, 17, "5797:7778:a933:53a2:b81:f2ea:f8b:c20e", Some(35_672), "ce9:789d:d285:dd2f:c1cd:90b5:fb15:3c3b", Some(25_677), Some("1:5ScpOUWC7h0Jr7KU1v63LGwkqCg=")),
    (4242, 132, "1d34:bbef:a310:525b:ccb3:68e6:6786:84c5", Some(48_474), "ff54:e2ae:9515:a6e1:e17a:6b4c:64ba:b948", Some(6225), Some("1:Nji2Zo6Fs7/Rw89cugvY/UrhlyU=")),
    (1, 17, "4c8c:2074:e3b:547d:ac92:651a:7e9c:ac34", Some(29_105), "4496:3c5:cc87:6c24:df89:77de:a228:ec93", Some(39_362), Some("1:zaYsIPLlAVA0Uj54mr7PF1h8JXk=")),
    (0, 132, "b184:e83b:7892:729b:8f3a:b27d:adf5:a298", Some(22_491), "d27d:6835:f1a4:b973:8c2:2060:d010:4277", Some(16_067), Some("1:Wvx81NCD0NLzyHBqO1eAsfRyaf0=")),
    (4242, 132, "3cec:56e8:29cb:b777:b339:a2bc:4b69:405f", Some(43_690), "670d:2f8d:f0d4:8a43:6f88:4eee:a7f9:35de", Some(2313), Some("1:zNiaomnmd3y/SMsEOAx+Hp0zScQ=")),
    (0, 17, "36.114.48.30", Some(43_526), "15.201.237.120", Some(26_399), Some("1:wnFiKyT9Z2tHuwmPEifaI5B9NrI=")),
    (0, 17, "171.133.156.139", Some(2961), "162.169.181.109", Some(42_383), Some("1:WIytTr6165Cjs9KzyLIaaMLSvwI=")),
    (0, 132, "184.195.22.48", Some(53_541), "42.160.65.61", Some(43_819), Some("1:Hjd38YBHt1iK94cIxf95vb3x2N4=")),
    (4242, 17, "47.125.12.98", Some(37_687), "29.46.138.110", Some(56_701), Some("1:fmNSuTu+UA+/Pbswc9JwCmAeALA=")),
    (0, 132, "1e9a:6346:e4b5:d215:6ee8:ee4b:a67f:ea6a", Some(27_512), "fb4f:9734:4816:59a:c006:4a5f:c6c0:6a0a", Some(17_796), Some("1:lkGQYDAt6OziNwryOK3qpYcSi9A=")),
    (1, 6, "225.74.135.179", Some(29_280), "250.129.184.155", Some(31_690), Some("1:ANsKtJpaJ0zUzEtIZQtKnSLhxcU=")),
    (4242, 132, "206.157.127.17", Some(34_730), "127.199.45.91", Some(29_821), Some("1:iHRwEhNFIlG5EHQKTYq0sDo3cx0=")),
    (0, 132, "214.47.202.51", Some(25_996), "110.229.185.87", Some(14_510), Some("1:FuaZ4gbUpnba24CdP9A9u2vaidw=")),
    (0, 6, "7f0a:7c8c:8436:213e:72ab:5456:d7fc:8cec", Some(39_605), "867:fced:c12:9995:3bb2:72e7:2b36:b42", Some(50_671), Some("1:s5XWptueQlwaHdxUDM4FqFSjeAM=")),
    (0, 17, "c749:42ce:3aa4:64aa:69d3:cc02:e19:60bd", Some(14_879), "c177:c8e7:9db6:14c0:cd71:5a9e:ae09:8e29", Some(15_572), Some("1:4Ux7SGqF+qdJse8SXZSswrs/e5k=")),
    (4242, 132, "188.81.172.180", Some(64_544), "148.252.145.225", Some(10_825), Some("1:qHDRqihZ103Mdb1HhPZaVIhrFZg=")),
    (0, 6, "1964:7664:4a82:d80a:e7bc:493f:a671:fdc", Some(6149), "b496:1076:630e:96d9:61aa:1af7:e96:104d", Some(35_246), Some("1:BFiJzRICS3kmVp8NT3isGSQFDow=")),
    (4242, 6, "141.147.147.162", Some(61_874), "156.67.162.49", Some(50_378), Some("1:b9MIwJ9WuJbyqMf7jCnyzOKBxCg=")),
    (0, 132, "62.103.185.81", Some(11_069), "154.70.152.182", Some(22_178), Some("1:yVreTL7ipdXbM/vM1IeLKYPxiQc=")),
    (0, 6, "10.0.0.1", None, "10.0.0.2", None, None),
    (0, 17, "10.0.0.1", None, "10.0.0.2", None, None),
    (0, 132, "10.0.0.1", None, "10.0.0.2", None, None),
    (0, 1, "10.0.0.1", None, "10.0.0.2", None, None),
    (0, 58, "10.0.0.1", None, "10.0.0.2", None, None),
];

fn tuple((_, protocol_num, src_ip, src_port, dst_ip, dst_port): Case) -> ConnectionTuple {
    let [src_ip, dst_ip] = [src_ip, dst_ip].map(|ip| ip.parse().unwrap());
    ConnectionTuple { src_ip, src_port, dst_ip, dst_port, protocol_num }
}

#[test]
fn it_is_that_of_the_reference_implementation() {
    for &(seed, protocol, src, src_port, dst, dst_port, expected) in VECTORS {
        let case = (seed, protocol, src, src_port, dst, dst_port);
        assert_eq!(community_id(&tuple(case), seed).as_deref(), expected, "{case:?}");
    }
}

/// Reads seed, protocol and ends from lines of standard input, prints the ID of each.
const REFERENCE: &str = r#"
import sys, communityid
for line in sys.stdin:
    seed, proto, src, sport, dst, dport = line.split()
    ports = () if sport == "-" else (int(sport), int(dport))
    print(communityid.CommunityID(seed=int(seed)).calc(communityid.FlowTuple(int(proto), src, dst, *ports)))
"#;

#[test]
fn ten_thousand_tuples_agree_with_the_reference_implementation() {
    let Some(python) = std::env::var_os("TRADEWIND_PYTHON") else {
        return skipped("TRADEWIND_PYTHON names no Python with `communityid`");
    };
    let has_module = Command::new(&python).args(["-c", "import communityid"]).stderr(Stdio::null()).status();
    if !has_module.is_ok_and(|status| status.success()) {
        return skipped("the Python of TRADEWIND_PYTHON has no module `communityid`");
    }
    let mut random = 1_u64;
    let mut next = |limit: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % limit
    };
    let (mut input, mut found) = (String::new(), Vec::new());
    for _ in 0..10_000 {
        let protocol = [6, 17, 132, 1, 58, 47, 50][usize::try_from(next(7)).unwrap()];
        let limit = if matches!(protocol, 1 | 58) { 160 } else { 65_536 };
        let ports = (protocol != 47 && protocol != 50).then(|| (next(limit), next(limit)));
        let is_v4 = next(2) == 0;
        let mut ip = || if is_v4 { format!("10.0.{}.{}", next(2), next(4)) } else { format!("fd00::{:x}", next(9)) };
        let (src, dst) = (ip(), ip());
        let seed = u16::try_from(next(3)).unwrap();
        let [src_text, dst_text] = [ports.map(|ports| ports.0), ports.map(|ports| ports.1)]
            .map(|port| port.map_or("-".to_owned(), |port| port.to_string()));
        input += &format!("{seed} {protocol} {src} {src_text} {dst} {dst_text}\n");
        let port = |port: u64| i64::try_from(port).unwrap();
        let ports = ports.map(|(src, dst)| (port(src), port(dst))).unzip();
        let tuple = ConnectionTuple::from_columns((&src, ports.0), (&dst, ports.1), protocol, (None, None));
        found.push(community_id(&tuple.unwrap(), seed).unwrap());
    }
    let mut child =
        Command::new(&python).args(["-c", REFERENCE]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let expected: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(found, expected);
}

fn skipped(why: &str) {
    writeln!(std::io::stderr(), "SKIPPED: {why}").ok();
}

fn check_columns(ends: [(&str, Option<i64>); 2], protocol: i64, icmp: (Option<i64>, Option<i64>), id: Option<&str>) {
    let tuple = ConnectionTuple::from_columns(ends[0], ends[1], protocol, icmp);
    assert_eq!(tuple.and_then(|tuple| community_id(&tuple, 0)).as_deref(), id, "{ends:?} {protocol} {icmp:?}");
}

#[test]
fn columns_of_a_flow() {
    let tcp = Some("1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
    let (client, server) = (("128.232.110.120", Some(34_855)), ("66.35.250.204", Some(80)));
    check_columns([client, server], 6, (None, None), tcp);
    check_columns([("::ffff:128.232.110.120", Some(34_855)), server], 6, (None, None), tcp);
    check_columns([client, ("66.35.250.204", None)], 6, (None, None), None);
    check_columns([client, ("66.35.250.204", Some(65_536))], 6, (None, None), None);
    check_columns([client, ("example.org", Some(80))], 6, (None, None), None);
    check_columns([client, server], 256, (None, None), None);
    let ping = Some("1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
    check_columns([("192.168.0.89", None), ("192.168.0.1", None)], 1, (Some(8), Some(0)), ping);
    check_columns([("192.168.0.1", None), ("192.168.0.89", None)], 1, (Some(0), Some(0)), ping);
    check_columns([("192.168.0.89", Some(8)), ("192.168.0.1", Some(0))], 1, (None, None), ping);
}

#[test]
fn our_name_tells_what_a_community_id_cannot() {
    let tuple = tuple((0, 6, "10.0.0.1", Some(40_000), "10.0.0.2", Some(443)));
    let back = ConnectionTuple {
        src_ip: tuple.dst_ip,
        src_port: tuple.dst_port,
        dst_ip: tuple.src_ip,
        dst_port: tuple.src_port,
        ..tuple
    };
    let name = connection_uid(&tuple, (Some("a"), Some("b")), Some(5));
    assert_eq!(name, connection_uid(&back, (Some("b"), Some("a")), Some(5)));
    assert_eq!((name.len(), name.as_bytes()[0]), (21, b'C'));
    let others = [
        connection_uid(&tuple, (Some("b"), Some("a")), Some(5)),
        connection_uid(&tuple, (None, None), Some(5)),
        connection_uid(&tuple, (Some("a"), Some("b")), Some(6)),
        connection_uid(&tuple, (Some("a"), Some("b")), None),
        connection_uid(&ConnectionTuple { protocol_num: 17, ..tuple }, (Some("a"), Some("b")), Some(5)),
    ];
    assert!(others.iter().all(|other| *other != name), "{name} {others:?}");
    let ping = |kind| ConnectionTuple { protocol_num: 1, src_port: Some(kind), dst_port: Some(0), ..tuple };
    assert_eq!(connection_uid(&ping(8), (None, None), None), connection_uid(&ping(0), (None, None), None));
}

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

const AROUND: Surroundings = Surroundings {
    cpus: NonZeroUsize::new(4).unwrap(),
    seed: 7,
    settle: None,
    allowed: || "0-3".parse().ok(),
};

fn plain(url: &str, options: LoadOptions) -> Result<Plan, PlanError> {
    Plan::of_url(url, options, AROUND)
}

fn printed(plan: &Plan) -> String {
    plan.pairs().iter().map(|(key, value)| format!("{key} = {value}\n")).collect::<Vec<_>>().concat()
}

#[test]
fn a_plain_load_has_the_defaults_of_hey() {
    insta::assert_snapshot!(printed(&plain("http://127.0.0.1:8080", LoadOptions::default()).unwrap()), @r"
    load.body_bytes = 0
    load.connections = 50
    load.drain = 20s
    load.engine = http1
    load.headers = User-Agent: loadgen/0.1.0 | Content-Type: text/html | Accept-Encoding: gzip
    load.method = GET
    load.model = closed
    load.redirects = 10
    load.requests = 200
    load.timeout = 20s
    load.url = http://127.0.0.1:8080/
    load.workers = 4
    target.kind = external
    ");
}

#[test]
fn everything_typed_is_honoured() {
    let options = LoadOptions {
        requests: Some(5.try_into().unwrap()),
        connections: Some(20.try_into().unwrap()),
        timeout: Some("0".parse().unwrap()),
        method: Some("post".to_owned()),
        header: vec!["X-A: 1".to_owned(), "x-a:2".to_owned(), "Cookie: secret".to_owned()],
        accept: Some("text/plain".to_owned()),
        content_type: Some("application/json".to_owned()),
        body: Some("{}".to_owned()),
        ..LoadOptions::default()
    };
    let plan = plain("http://user:password@h/a?b=c", options).unwrap();
    insta::assert_snapshot!(printed(&plan), @r"
    load.body_bytes = 2
    load.body_hash = 08f44b07b5901a25
    load.connections = 5
    load.drain = 20s
    load.engine = http1
    load.headers = User-Agent: loadgen/0.1.0 | Content-Type: application/json | Accept-Encoding: gzip | Authorization: *** | X-A: 2 | Cookie: *** | Accept: text/plain
    load.method = POST
    load.model = closed
    load.redirects = 10
    load.requests = 5
    load.timeout = none
    load.url = http://user:***@h/a?b=c
    load.workers = 1
    target.kind = external
    ");
    let basic = "Basic dXNlcjpwYXNzd29yZA==".to_owned();
    assert!(plan.load.headers.contains(&("Authorization".to_owned(), basic)));
}

#[test]
fn auto_takes_the_own_engines_tls_included() {
    let default = LoadOptions::default;
    let engine = |url, options| plain(url, options).map(|plan| plan.load.engine);
    let http2 = || LoadOptions { http2: true, ..default() };
    let with = |options, engine| LoadOptions { engine: Some(engine), ..options };
    assert_eq!(engine("http://h/", default()).unwrap(), EngineKind::Http1);
    assert_eq!(engine("https://h/", default()).unwrap(), EngineKind::Http1);
    assert_eq!(engine("https://h/", http2()).unwrap(), EngineKind::Http2);
    assert_eq!(engine("http://h/", LoadOptions { h2c: true, ..default() }).unwrap(), EngineKind::Http2);
    let reqwest = EngineChoice::Reqwest;
    assert_eq!(engine("http://h/", with(default(), reqwest)).unwrap(), EngineKind::Reqwest);
    assert_eq!(engine("https://h/", with(http2(), reqwest)).unwrap(), EngineKind::Reqwest);
    let refused = |url, options| engine(url, options).unwrap_err().to_string();
    for (url, options, sign) in [
        ("http://h/", http2(), "--h2c"),
        ("https://h/", LoadOptions { h2c: true, ..default() }, "--http2"),
        ("https://h/", LoadOptions { http1: true, ..http2() }, "exclude"),
        ("http://h/", with(default(), EngineChoice::Http2), "--http2 or --h2c"),
        ("https://h/", with(http2(), EngineChoice::Http1), "exclude"),
        ("http://h/", LoadOptions { streams: 2.try_into().ok(), ..default() }, "HTTP/2"),
        ("https://h/", LoadOptions { key: Some("k".into()), ..default() }, "--cert"),
        ("https://h/", with(LoadOptions { sni: Some("s".into()), ..default() }, reqwest), "--sni"),
    ] {
        let sentence = refused(url, options);
        assert!(sentence.contains(sign), "{sentence}");
    }
}

#[test]
fn the_route_is_echoed_without_secrets() {
    let options = LoadOptions {
        http2: true,
        streams: 4.try_into().ok(),
        requests: 10.try_into().ok(),
        proxy: "http://user:secret@127.0.0.1:3128".parse().ok(),
        insecure: true,
        ..LoadOptions::default()
    };
    let plan = plain("https://h/", options).unwrap();
    assert_eq!(plan.load.connections.get(), 3, "ten requests, four at a time");
    let pairs = plan.pairs();
    let told = |key: &str| pairs.get(key).map(String::as_str);
    assert_eq!((told("load.protocol"), told("load.streams")), (Some("h2"), Some("4")));
    assert_eq!(
        (told("load.proxy"), told("load.insecure")),
        (Some("http://***@127.0.0.1:3128"), Some("true"))
    );
    assert!(!plain("https://h/", LoadOptions::default()).unwrap().pairs().contains_key("load.protocol"));
}

#[test]
fn what_cannot_be_honoured_is_refused_with_what_to_do() {
    let refused = |url: &str| plain(url, LoadOptions::default()).unwrap_err().to_string();
    assert_eq!(
        refused("localhost:8080/x"),
        "`localhost:8080/x` lacks the scheme: did you mean http://localhost:8080/x?"
    );
    assert_eq!(refused("127.0.0.1/x"), "`127.0.0.1/x` lacks the scheme: did you mean http://127.0.0.1/x?");
    assert_eq!(refused("nonsense"), "`nonsense` is not a URL: write one like http://127.0.0.1:8080/");
    assert_eq!(refused("http://"), "`http://` is not a URL: write one like http://127.0.0.1:8080/");
    assert_eq!(
        refused("ftp://h/"),
        "`ftp:` in ftp://h/ is not a scheme that loadgen speaks: use http:// or https://"
    );
    let with = |options| plain("http://h/", options).unwrap_err().to_string();
    let header = |field: &str| with(LoadOptions { header: vec![field.to_owned()], ..LoadOptions::default() });
    assert_eq!(header("no colon"), "`no colon` is not a header field: write it like \"Name: value\"");
    assert!(header("a b: c").starts_with("`a b: c` is not a header"));
    assert!(header("A: c\r\nB: d").contains("is not a header"));
    let method = LoadOptions { method: Some("GET /".to_owned()), ..LoadOptions::default() };
    assert_eq!(with(method), "`GET /` is not an HTTP method");
    let file = LoadOptions { body_file: Some("/nonexistent/body".into()), ..LoadOptions::default() };
    assert!(with(file).starts_with("cannot read the request body from /nonexistent/body: "));
}

#[test]
fn the_key_is_that_of_the_plan_not_of_the_place() {
    let key = |url: &str, workers: u16, connections: u32| {
        let options = LoadOptions {
            workers: workers.try_into().ok(),
            connections: connections.try_into().ok(),
            ..LoadOptions::default()
        };
        plain(url, options).unwrap().key()
    };
    assert_eq!(key("http://h:1/", 1, 9), key("http://h:1/", 2, 9));
    assert_ne!(key("http://h:1/", 1, 9), key("http://h:2/", 1, 9), "another port is another server");
    assert_ne!(key("http://h:1/", 1, 9), key("http://i:1/", 1, 9));
    assert_ne!(key("http://h:1/", 1, 9), key("http://h:1/", 1, 8));
    assert_ne!(key("http://h:1/", 1, 9), key("http://h:1/x", 1, 9));
}

#[test]
fn repeats_may_be_led_to_other_ports_and_use_temporary_files() {
    let key = |port: u16, folder: &str, sni: &str| {
        let path = |name: &str| Some(format!("/tmp/{folder}/{name}").into());
        let options = LoadOptions {
            resolve: vec![format!("h:{port}:127.0.0.1").parse().unwrap()],
            connect_to: vec![format!("i:{port}:j:{port}").parse().unwrap()],
            cacert: path("ca"),
            cert: path("cert"),
            key: path("key"),
            sni: Some(sni.to_owned()),
            ..LoadOptions::default()
        };
        plain("https://h/", options).unwrap().key()
    };
    assert_eq!(key(1, "a", "x"), key(2, "b", "x"));
    assert_ne!(key(1, "a", "x"), key(1, "a", "y"));
    let socket = |path: Option<&str>| {
        let options =
            LoadOptions { unix_socket: path.map(std::convert::Into::into), ..LoadOptions::default() };
        plain("http://h/", options).unwrap().key()
    };
    assert_eq!(socket(Some("/tmp/a")), socket(Some("/tmp/b")));
    assert_ne!(socket(Some("/tmp/a")), socket(None));
    let proxy = |proxy: &str| {
        let options = LoadOptions { proxy: proxy.parse().ok(), ..LoadOptions::default() };
        plain("http://h/", options).unwrap().key()
    };
    assert_eq!(proxy("http://p:1"), proxy("http://p:2"));
    assert_ne!(proxy("http://p:1"), proxy("http://q:1"));
}

#[test]
fn the_key_of_a_started_target_is_that_of_its_pairs() {
    // As in all documents of scenarios so far: runs of today are repeats of those.
    let plan = Plan::of_scenario("s", TargetOptions::default(), LoadOptions::default(), AROUND).unwrap();
    let lines: Vec<_> = plan
        .pairs()
        .iter()
        .filter(|(key, _)| *key != "load.workers")
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    assert_eq!(plan.key(), format!("{:016x}", fnv1a(lines.join("\n").as_bytes())));
}

#[test]
fn a_started_target_gets_its_address_when_it_listens() {
    let target = TargetOptions { path: Some("/orders?id=7".to_owned()), ..TargetOptions::default() };
    let plan = Plan::of_scenario("s", target, LoadOptions::default(), AROUND).unwrap();
    assert_eq!(plan.load.url.as_str(), "http://target/orders?id=7");
    let source = plan.source(Some("127.0.0.1:4711".parse().unwrap()));
    assert_eq!(source.request(0).url.as_str(), "http://127.0.0.1:4711/orders?id=7");
}

#[test]
fn a_target_is_started_or_there_not_both() {
    let target = TargetOptions {
        url: Some("http://h/".to_owned()),
        instances: Some(4.try_into().unwrap()),
        ..TargetOptions::default()
    };
    let refused = Plan::of_scenario("s", target, LoadOptions::default(), AROUND).unwrap_err();
    assert!(
        refused.to_string().starts_with("`instances` is a setting of a target that is started"),
        "{refused}"
    );
}

#[test]
fn the_command_line_wins_over_the_scenario() {
    let scenario = LoadOptions {
        duration: Some("120s".parse().unwrap()),
        connections: Some(100.try_into().unwrap()),
        header: vec!["X-A: file".to_owned()],
        ..LoadOptions::default()
    };
    let typed = LoadOptions {
        requests: Some(7.try_into().unwrap()),
        header: vec!["X-A: typed".to_owned()],
        ..LoadOptions::default()
    };
    let both = typed.over(scenario.clone());
    assert_eq!(both.connections, scenario.connections);
    let plan = plain("http://h/", both).unwrap();
    assert_eq!(plan.load.stop, Stop::Requests(7), "who types a number does not want the file's duration");
    assert!(plan.load.headers.contains(&("X-A".to_owned(), "typed".to_owned())));
}

#[test]
fn an_open_load_is_a_schedule() {
    let options = |text: &str| {
        let mut options = LoadOptions::default();
        for word in text.split(' ') {
            match word.split_once('=').unwrap() {
                ("rate", value) => options.rate = Some(value.parse().unwrap()),
                ("duration", value) => options.duration = Some(value.parse().unwrap()),
                ("requests", value) => options.requests = Some(value.parse().unwrap()),
                ("arrival", value) => options.arrival = Some(value.parse().unwrap()),
                ("stages", value) => options.stages = Some(value.parse().unwrap()),
                ("seed", value) => options.seed = Some(value.parse().unwrap()),
                ("q", value) => options.rate_per_connection = Some(value.parse().unwrap()),
                other => panic!("{other:?}"),
            }
        }
        plain("http://h/", options)
    };
    let pairs = |text: &str| {
        let pairs = options(text).unwrap().pairs();
        let wanted =
            ["model", "rate", "stages", "arrival", "seed", "duration", "requests", "rate_per_connection"];
        let found =
            wanted.iter().filter_map(|key| Some(format!("{key}={}", pairs.get(&format!("load.{key}"))?)));
        found.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(pairs("rate=100 duration=10s"), "model=open rate=100 arrival=poisson seed=7 duration=10s");
    assert_eq!(pairs("rate=50 requests=100 seed=3"), "model=open rate=50 arrival=poisson seed=3 duration=2s");
    assert_eq!(
        pairs("stages=1s@5,2s@10 arrival=burst:5"),
        "model=open stages=1s@5,2s@10 arrival=burst:5 seed=7 duration=3s"
    );
    assert_eq!(pairs("q=2.5 duration=10s"), "model=closed duration=10s rate_per_connection=2.5");
    assert_eq!(pairs("q=0 requests=10"), "model=closed requests=10");
    let refused = |text: &str| options(text).unwrap_err().to_string();
    assert!(refused("rate=100 q=5").contains("exclude each other"));
    assert!(refused("rate=100 stages=1s@5").contains("exclude each other"));
    assert!(refused("duration=9s stages=1s@5").contains("exclude each other"));
    assert!(refused("arrival=uniform").starts_with("--arrival shapes an open load"));
    assert!(refused("seed=1").starts_with("--seed shapes an open load"));
    assert!(refused("rate=0").contains("not one request"));
    assert!(refused("rate=0.01 duration=1s").contains("not one request"));
    assert!(refused("rate=100000k duration=300h").contains("more than loadgen plans for"));
    let key = |text: &str| options(text).unwrap().key();
    assert_eq!(key("rate=100 seed=1"), key("rate=100 seed=2"));
    assert_ne!(key("rate=100 seed=1"), key("rate=101 seed=1"));
}

#[test]
fn the_rest_of_heys_header_flags() {
    let headers = |url: &str, options: LoadOptions| plain(url, options).unwrap().load.headers;
    let options = LoadOptions {
        user_agent: Some("mine".to_owned()),
        auth: Some("user:pass:word".to_owned()),
        host: Some("other.example:81".to_owned()),
        disable_compression: true,
        disable_keepalive: true,
        ..LoadOptions::default()
    };
    let fields: Vec<_> =
        headers("http://h/", options).iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!(
        fields,
        [
            "User-Agent: mine",
            "Content-Type: text/html",
            "Connection: close",
            "Host: other.example:81",
            "Authorization: Basic dXNlcjpwYXNzOndvcmQ=",
        ]
    );
    // What a URL cannot hold plainly is encoded there, and not in the header.
    let decoded = headers("http://a%40b:p%3Aw@h/", LoadOptions::default());
    assert!(decoded.contains(&("Authorization".to_owned(), format!("Basic {}", STANDARD.encode("a@b:p:w")))));
    for wrong in ["user", ":password", ""] {
        let options = LoadOptions { auth: Some(wrong.to_owned()), ..LoadOptions::default() };
        assert!(matches!(plain("http://h/", options), Err(PlanError::Auth)), "{wrong}");
    }
}

#[test]
fn a_mix_lies_under_everything_that_was_typed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mix.txt");
    std::fs::write(
        &path,
        "/a?b=1\nhttp://me:secret@other/x\n{\"url\": \"/c\", \"headers\": {\"x-a\": \"own\"}}\n",
    )
    .unwrap();
    let options = |seed| LoadOptions {
        mix: Some(path.clone()),
        seed: Some(seed),
        header: vec!["X-A: typed".to_owned()],
        body: Some("typed".to_owned()),
        check: vec!["body size > 0".parse().unwrap()],
        count_header: Some("Server".to_owned()),
        warmup: Some("5s".parse().unwrap()),
        ..LoadOptions::default()
    };
    let plan = plain("http://h/base", options(3)).unwrap();
    let source = plan.source(None);
    let wires: Vec<_> =
        source.requests().map(|request| String::from_utf8_lossy(&request.wire).into_owned()).collect();
    let agent = "User-Agent: loadgen/0.1.0\r\nContent-Type: text/html\r\n";
    let length = "Content-Length: 5\r\n\r\ntyped";
    assert_eq!(
        wires,
        [
            format!("GET /a?b=1 HTTP/1.1\r\nHost: h\r\n{agent}X-A: typed\r\n{length}"),
            format!(
                "GET /x HTTP/1.1\r\nHost: other\r\n{agent}Authorization: Basic {}\r\nX-A: typed\r\n{length}",
                STANDARD.encode("me:secret")
            ),
            format!("GET /c HTTP/1.1\r\nHost: h\r\n{agent}X-A: own\r\n{length}"),
        ]
    );
    assert_eq!(source.names(), ["GET /a", "GET /c", "GET http://other/x"]);
    let pairs = plan.pairs();
    assert!(pairs["load.mix"].starts_with("mix.txt ") && !printed(&plan).contains("secret"), "{pairs:?}");
    assert_eq!((&*pairs["load.seed"], &*pairs["load.warmup"]), ("3", "5s"));
    assert_eq!((&*pairs["load.check"], &*pairs["load.count_header"]), ("body size > 0", "Server"));
    assert_eq!(plan.key(), plain("http://h/base", options(4)).unwrap().key(), "a seed is chance");
    let moved = path.with_file_name("moved.txt");
    std::fs::copy(&path, &moved).unwrap();
    let other = LoadOptions { mix: Some(moved), ..options(3) };
    assert_eq!(plan.key(), plain("http://h/base", other).unwrap().key(), "nor does the file's name matter");
    std::fs::write(&path, "/other\n").unwrap();
    assert_ne!(plan.key(), plain("http://h/base", options(3)).unwrap().key(), "the content is not");
    assert!(Plan::of_url(None, options(3), AROUND).is_err(), "a path needs a server");
}

#[test]
fn sets_of_cpus_are_part_of_the_plan_and_make_it_another_one() {
    let scenario = |target: Option<&str>, load: Option<&str>| {
        let cpus = |text: Option<&str>| text.map(|text| text.parse().unwrap());
        let target = TargetOptions { cpus: cpus(target), ..TargetOptions::default() };
        let load = LoadOptions { cpu_set: cpus(load), ..LoadOptions::default() };
        Plan::of_scenario("s", target, load, AROUND)
    };
    let (free, apart) = (scenario(None, None).unwrap(), scenario(Some("0,1"), Some("3")).unwrap());
    let pairs = apart.pairs();
    let told = |key: &str| pairs.get(key).map(String::as_str);
    assert_eq!((told("target.cpus"), told("load.cpu_set")), (Some("0-1"), Some("3")));
    assert!(!free.pairs().contains_key("target.cpus") && !free.pairs().contains_key("load.cpu_set"));
    assert_eq!((free.load.workers.get(), apart.load.workers.get()), (4, 1), "no more workers than CPUs");
    let other = scenario(Some("0"), Some("3")).unwrap();
    assert!(apart.key() != free.key() && apart.key() != other.key());
    for (target, load, complaint) in [
        (Some("0-1,9"), None, "target.cpus is 0-1,9, and loadgen may use the CPUs 0-3 here, not CPU 9"),
        (None, Some("4"), "load.cpu_set is 4, and loadgen may use the CPUs 0-3 here, not CPU 4"),
    ] {
        assert_eq!(scenario(target, load).unwrap_err().to_string(), complaint);
    }
    let elsewhere = TargetOptions {
        url: Some("http://h/".to_owned()),
        cpus: "0".parse().ok(),
        ..TargetOptions::default()
    };
    let refused = Plan::of_scenario("s", elsewhere, LoadOptions::default(), AROUND).unwrap_err().to_string();
    assert!(refused.starts_with("`cpus` is a setting of a target that is started"), "{refused}");
}

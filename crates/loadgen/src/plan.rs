//! What exactly will happen? A plan is final: nothing in it is defaulted later, and the document echoes all of it.

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::arrival::{self, Arrival, Stage};
use crate::clock::nanos;
use crate::hash::fnv1a;
use crate::options::{EngineChoice, LoadOptions, Store, Synchronous, TargetOptions};
use crate::quantity::{Rate, Span, Stages, Timeout};
use crate::source::{Request, is_secret};

/// hey's defaults.
const REQUESTS: u64 = 200;
const CONNECTIONS: usize = 50;
const TIMEOUT: Duration = Duration::from_secs(20);
const CONTENT_TYPE: &str = "text/html";
/// As hey, and as browsers: after ten redirects one goes in circles.
const REDIRECTS: u64 = 10;
/// A second worker pays off from this many connections per worker on.
const CONNECTIONS_PER_WORKER: usize = 16;
/// Less than one request in a year is a slip of the finger.
const LOWEST_RATE: f64 = 1.0 / (366.0 * 24.0 * 3600.0);
/// A schedule of more requests than this takes too long to draw up: some 20 ns each, before the run.
const MOST_REQUESTS: u64 = 1_000_000_000;
/// As many as the server itself starts.
const MOST_INSTANCES: u16 = 256;
/// Stands for host and port of a target that is not started yet.
const PLACEHOLDER: &str = "http://target/";

/// Everything a run will do.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The scenario's name, or `load`.
    pub name: String,
    /// What is loaded.
    pub target: Target,
    /// How it is loaded.
    pub load: Load,
}

/// What is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A server that runs already, at the load's URL.
    External,
    /// The embedded server, started for the run. The load's URL gets its host and port when it listens.
    Embedded(Embedded),
}

/// Settings of the embedded server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is documented at its namesake in TargetOptions")]
pub struct Embedded {
    pub instances: NonZeroU16,
    pub store: Store,
    pub threads: u16,
    pub max_connections: u32,
    pub backlog: u16,
    pub synchronous: Synchronous,
    pub busy_timeout: Duration,
}

/// When the run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// After so many requests.
    Requests(u64),
    /// After so long.
    Duration(Duration),
}

/// Who decides when a request is sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Model {
    /// The answers: each connection sends its next request when the last is answered.
    Closed {
        /// Requests per second of one connection, at most.
        rate_per_connection: Option<f64>,
    },
    /// The clock: requests are due on a schedule, whether or not earlier ones are answered.
    Open(Open),
}

/// A schedule of the open model.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    /// The rates, one after the other.
    pub stages: Vec<Stage>,
    /// How arrivals are spread around the rate.
    pub arrival: Arrival,
    /// What random arrivals grow from.
    pub seed: u64,
}

impl Open {
    /// How long the schedule is.
    pub fn length(&self) -> Duration {
        Duration::from_nanos(self.stages.iter().map(|stage| stage.length).sum())
    }
}

/// The engine that carries the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// [`crate::engine::http1`].
    Http1,
    /// [`crate::engine::reqwest`].
    Reqwest,
    /// [`crate::engine::fake`].
    Fake,
}

impl EngineKind {
    /// The name in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Reqwest => "reqwest",
            Self::Fake => "fake",
        }
    }
}

/// How it is loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// Where requests go.
    pub url: Url,
    /// Method, upper case.
    pub method: String,
    /// Header fields in the order in which they are sent; secrets in plain.
    pub headers: Vec<(String, String)>,
    /// Body of every request.
    pub body: Bytes,
    /// Connections, each with one request at a time.
    pub connections: NonZeroUsize,
    /// When to stop. In the open model always after a duration: that of the schedule.
    pub stop: Stop,
    /// Who decides when a request is sent.
    pub model: Model,
    /// How long one request may take.
    pub timeout: Option<Duration>,
    /// How long unfinished requests are waited for after the window.
    pub drain: Duration,
    /// Worker threads.
    pub workers: NonZeroUsize,
    /// How many redirects one request follows; 0: a redirect is an answer like any other.
    pub redirects: u64,
    /// How requests travel.
    pub engine: EngineKind,
}

/// What is known of the surroundings when a plan is made.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings {
    /// CPUs that this process may use.
    pub cpus: NonZeroUsize,
    /// A number that is another one each time, for schedules that were given none.
    pub seed: u64,
}

/// Why there is no plan. Each message says what to do.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum PlanError {
    #[error("`{0}` is not a URL: write one like http://127.0.0.1:8080/")]
    Url(String),
    #[error("`{text}` lacks the scheme: did you mean http://{text}?")]
    NoScheme { text: String },
    #[error("`{scheme}:` in {url} is not a scheme that loadgen speaks: use http:// or https://")]
    Scheme { scheme: String, url: String },
    #[error("`{}` is not an HTTP method", report::units::one_line(.0))]
    Method(String),
    #[error("`{}` is not a header field: write it like \"Name: value\"", report::units::one_line(.0))]
    Header(String),
    #[error("more than {MOST_INSTANCES} instances are not started on one machine")]
    TooManyInstances,
    #[error("-a takes a user and a password, like -a user:password")]
    Auth,
    #[error("cannot read the request body from {}: {error}", path.display())]
    Body { path: PathBuf, error: std::io::Error },
    #[error("the http1 engine does not speak TLS: leave --engine away, or use --engine reqwest, for {0}")]
    Tls(String),
    #[error("{0} and {1} exclude each other: leave one of them out")]
    Exclusive(&'static str, &'static str),
    #[error("{0} shapes an open load: give a --rate or --stages too")]
    NeedsRate(&'static str),
    #[error("at that rate not one request falls due: raise the rate, or run longer")]
    NoRequests,
    #[error(
        "that makes {0} requests, more than loadgen plans for ({MOST_REQUESTS}): lower the rate, or run shorter"
    )]
    TooManyRequests(u64),
    #[error("`{0}` is not a path: it begins with a slash, like /orders?id=7")]
    Path(String),
    #[error(
        "`{0}` is a setting of a target that is started; with a `url` nothing is, so leave one of them out"
    )]
    NotStarted(&'static str),
}

impl Plan {
    /// The plan of a plain load test of `url`.
    ///
    /// # Errors
    /// When an option has a value that cannot be honoured.
    pub fn of_url(url: &str, options: LoadOptions, around: Surroundings) -> Result<Self, PlanError> {
        let load = Load::resolve(parse_url(url)?, options, around)?;
        Ok(Self { name: "load".to_owned(), target: Target::External, load })
    }

    /// The plan of a scenario.
    ///
    /// # Errors
    /// When an option has a value that cannot be honoured.
    pub fn of_scenario(
        name: &str,
        target: TargetOptions,
        load: LoadOptions,
        around: Surroundings,
    ) -> Result<Self, PlanError> {
        let (target, url) = Target::resolve(target)?;
        Ok(Self { name: name.to_owned(), target, load: Load::resolve(url, load, around)? })
    }

    /// The whole plan as flat pairs, secrets as `***`. This is what documents store and `loadgen plan` prints.
    pub fn pairs(&self) -> BTreeMap<String, String> {
        let mut pairs = BTreeMap::new();
        let mut put = |key: &str, value: String| pairs.insert(key.to_owned(), value);
        let load = &self.load;
        put("load.url", masked(&load.url));
        put("load.method", load.method.clone());
        let fields: Vec<_> =
            load.headers.iter().map(|(name, value)| format!("{name}: {}", shown(name, value))).collect();
        put("load.headers", fields.join(" | "));
        put("load.body_bytes", load.body.len().to_string());
        if !load.body.is_empty() {
            put("load.body_hash", format!("{:016x}", fnv1a(&load.body)));
        }
        put("load.connections", load.connections.to_string());
        for (key, value) in load.model.pairs() {
            put(key, value);
        }
        match load.stop {
            Stop::Requests(requests) => put("load.requests", requests.to_string()),
            Stop::Duration(duration) => put("load.duration", Span(duration).to_string()),
        };
        put("load.timeout", Timeout(load.timeout).to_string());
        put("load.drain", Span(load.drain).to_string());
        put("load.workers", load.workers.to_string());
        put("load.redirects", load.redirects.to_string());
        put("load.engine", load.engine.name().to_owned());
        match &self.target {
            Target::External => {
                put("target.kind", "external".to_owned());
            }
            Target::Embedded(target) => {
                put("target.kind", "embedded".to_owned());
                put("target.instances", target.instances.to_string());
                for (name, value) in target.settings() {
                    put(&format!("target.{}", name.replace('-', "_")), value);
                }
            }
        }
        pairs
    }

    /// Hash of the pairs that make two runs repeats of each other: not the port, not what the machine decides.
    pub fn key(&self) -> String {
        let mut pairs = self.pairs();
        for chance in ["load.workers", "load.seed"] {
            pairs.remove(chance);
        }
        let lines: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!("{:016x}", fnv1a(lines.join("\n").as_bytes()))
    }

    /// The request, when it is known where the target listens. `None`: at the plan's own URL.
    pub fn request(&self, address: Option<std::net::SocketAddr>) -> Request {
        let mut url = self.load.url.clone();
        if let Some(address) = address {
            // Neither fails: an http URL takes any address and port.
            let _ = url.set_ip_host(address.ip());
            let _ = url.set_port(Some(address.port()));
        }
        Request::new(&self.load.method, url, &self.load.headers, self.load.body.clone())
    }
}

impl Target {
    fn resolve(options: TargetOptions) -> Result<(Self, Url), PlanError> {
        let TargetOptions {
            url,
            path,
            instances,
            store,
            threads,
            max_connections,
            backlog,
            synchronous,
            busy_timeout,
        } = options;
        if let Some(url) = url {
            let started = [
                ("path", path.is_some()),
                ("instances", instances.is_some()),
                ("store", store.is_some()),
                ("threads", threads.is_some()),
                ("max_connections", max_connections.is_some()),
                ("backlog", backlog.is_some()),
                ("synchronous", synchronous.is_some()),
                ("busy_timeout", busy_timeout.is_some()),
            ];
            if let Some((option, _)) = started.iter().find(|(_, is_set)| *is_set) {
                return Err(PlanError::NotStarted(option));
            }
            return Ok((Self::External, parse_url(&url)?));
        }
        let path = path.unwrap_or_else(|| "/".to_owned());
        if !path.starts_with('/') {
            return Err(PlanError::Path(path));
        }
        let url = parse_url(PLACEHOLDER)?.join(&path).map_err(|_| PlanError::Path(path))?;
        let instances = instances.unwrap_or(NonZeroU16::MIN);
        if instances.get() > MOST_INSTANCES {
            return Err(PlanError::TooManyInstances);
        }
        let embedded = Embedded {
            instances,
            store: store.unwrap_or(Store::Pool),
            threads: threads.map_or(4, NonZeroU16::get),
            max_connections: max_connections.unwrap_or(0),
            backlog: backlog.map_or(1024, NonZeroU16::get),
            synchronous: synchronous.unwrap_or(Synchronous::Normal),
            busy_timeout: busy_timeout.map_or(Duration::from_secs(10), |span| span.0),
        };
        Ok((Self::Embedded(embedded), url))
    }
}

impl Embedded {
    /// The settings of one instance as flags of `loadgen serve`, without their dashes.
    pub fn settings(&self) -> [(&'static str, String); 6] {
        let store = match self.store {
            Store::Pool => "pool",
            Store::None => "none",
        };
        let synchronous = match self.synchronous {
            Synchronous::Normal => "normal",
            Synchronous::Full => "full",
            Synchronous::Off => "off",
        };
        [
            ("store", store.to_owned()),
            ("threads", self.threads.to_string()),
            ("max-connections", self.max_connections.to_string()),
            ("backlog", self.backlog.to_string()),
            ("synchronous", synchronous.to_owned()),
            ("busy-timeout", format!("{}ms", self.busy_timeout.as_millis())),
        ]
    }
}

impl Load {
    fn resolve(url: Url, options: LoadOptions, around: Surroundings) -> Result<Self, PlanError> {
        let method = method(options.method.as_deref().unwrap_or("GET"))?;
        let headers = headers(&url, &options)?;
        let (model, stop) = pace(&options, around)?;
        let asked = options.connections.map_or(CONNECTIONS, |n| n.get() as usize);
        // More connections than requests would leave some without any.
        let useful = match (&model, stop) {
            (Model::Open(open), _) => arrival::number(&open.stages),
            (Model::Closed { .. }, Stop::Requests(requests)) => requests,
            (Model::Closed { .. }, Stop::Duration(_)) => u64::MAX,
        };
        let useful = usize::try_from(useful).unwrap_or(usize::MAX);
        let connections = NonZeroUsize::new(asked.min(useful)).unwrap_or(NonZeroUsize::MIN);
        let timeout = options.timeout.unwrap_or(Timeout(Some(TIMEOUT))).0;
        let drain = options.drain.map_or(timeout.unwrap_or(TIMEOUT), |span| span.0);
        let default_workers = connections.get().div_ceil(CONNECTIONS_PER_WORKER).min(around.cpus.get());
        let workers =
            options.workers.map_or(default_workers, |n| usize::from(n.get())).min(connections.get());
        let workers = NonZeroUsize::new(workers).unwrap_or(NonZeroUsize::MIN);
        let engine = engine(options.engine.unwrap_or(EngineChoice::Auto), &url)?;
        let redirects = if options.disable_redirects { 0 } else { REDIRECTS };
        let body = body(options)?;
        Ok(Self {
            url,
            method,
            headers,
            body,
            connections,
            stop,
            model,
            timeout,
            drain,
            workers,
            redirects,
            engine,
        })
    }
}

impl Model {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Closed { rate_per_connection } => {
                let rate = rate_per_connection.map(|rate| ("load.rate_per_connection", rate.to_string()));
                std::iter::once(("load.model", "closed".to_owned())).chain(rate).collect()
            }
            Self::Open(Open { stages, arrival, seed }) => {
                let rate = match &stages[..] {
                    [stage] => ("load.rate", Rate(stage.rate).to_string()),
                    stages => {
                        let typed =
                            |stage: &Stage| (Span(Duration::from_nanos(stage.length)), Rate(stage.rate));
                        ("load.stages", Stages(stages.iter().map(typed).collect()).to_string())
                    }
                };
                let arrival = ("load.arrival", arrival.to_string());
                vec![("load.model", "open".to_owned()), rate, arrival, ("load.seed", seed.to_string())]
            }
        }
    }
}

/// Who decides when a request is sent, and when the run stops.
fn pace(options: &LoadOptions, around: Surroundings) -> Result<(Model, Stop), PlanError> {
    let limit = options.rate_per_connection.map(|rate| rate.0).filter(|rate| *rate > 0.0);
    if limit.is_some_and(|rate| rate < LOWEST_RATE) || options.rate.is_some_and(|rate| rate.0 < LOWEST_RATE) {
        return Err(PlanError::NoRequests);
    }
    let requests = options.requests.map_or(REQUESTS, std::num::NonZeroU64::get);
    let stages = match (&options.stages, options.rate, options.duration) {
        (Some(_), Some(_), _) => return Err(PlanError::Exclusive("--stages", "--rate")),
        (Some(_), _, Some(_)) => return Err(PlanError::Exclusive("--stages", "--duration")),
        (Some(_), ..) if options.requests.is_some() => {
            return Err(PlanError::Exclusive("--stages", "--requests"));
        }
        (Some(stages), None, None) => {
            stages.0.iter().map(|(span, rate)| Stage { length: nanos(span.0), rate: rate.0 }).collect()
        }
        (None, Some(rate), Some(duration)) => vec![Stage { length: nanos(duration.0), rate: rate.0 }],
        (None, Some(rate), None) => {
            let length = Duration::try_from_secs_f64(requests as f64 / rate.0).unwrap_or(Duration::MAX);
            vec![Stage { length: nanos(length), rate: rate.0 }]
        }
        (None, None, duration) => {
            if options.arrival.is_some() {
                return Err(PlanError::NeedsRate("--arrival"));
            }
            if options.seed.is_some() {
                return Err(PlanError::NeedsRate("--seed"));
            }
            let stop = duration.map_or(Stop::Requests(requests), |duration| Stop::Duration(duration.0));
            return Ok((Model::Closed { rate_per_connection: limit }, stop));
        }
    };
    if limit.is_some() {
        return Err(PlanError::Exclusive("--rate-per-connection (-q)", "--rate"));
    }
    match arrival::number(&stages) {
        0 => return Err(PlanError::NoRequests),
        number if number > MOST_REQUESTS => return Err(PlanError::TooManyRequests(number)),
        _ => {}
    }
    let arrival = options.arrival.unwrap_or(Arrival::Poisson);
    let open = Open { stages, arrival, seed: options.seed.unwrap_or(around.seed) };
    let stop = Stop::Duration(open.length());
    Ok((Model::Open(open), stop))
}

fn parse_url(text: &str) -> Result<Url, PlanError> {
    let looks_like_host = |text: &str| {
        let host = text.split(['/', '?']).next().unwrap_or_default();
        host == "localhost" || host.contains('.') || host.contains(':')
    };
    let no_scheme = || PlanError::NoScheme { text: text.to_owned() };
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(_) if !text.contains("://") && looks_like_host(text) => return Err(no_scheme()),
        Err(_) => return Err(PlanError::Url(text.to_owned())),
    };
    match url.scheme() {
        "http" | "https" if url.host_str().is_some_and(|host| !host.is_empty()) => Ok(url),
        "http" | "https" => Err(PlanError::Url(text.to_owned())),
        _ if !text.contains("://") && looks_like_host(text) => Err(no_scheme()),
        scheme => Err(PlanError::Scheme { scheme: scheme.to_owned(), url: text.to_owned() }),
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn method(text: &str) -> Result<String, PlanError> {
    if is_token(text) { Ok(text.to_ascii_uppercase()) } else { Err(PlanError::Method(text.to_owned())) }
}

/// The header fields in hey's order: the program's own, then those given, of which the last of a name counts.
fn headers(url: &Url, options: &LoadOptions) -> Result<Vec<(String, String)>, PlanError> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: &str| {
        let found = all.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name));
        match found {
            Some((_, known)) => value.clone_into(known),
            None => all.push((name.to_owned(), value.to_owned())),
        }
    };
    set(
        "User-Agent",
        options.user_agent.as_deref().unwrap_or(concat!("loadgen/", env!("CARGO_PKG_VERSION"))),
    );
    set("Content-Type", options.content_type.as_deref().unwrap_or(CONTENT_TYPE));
    if !options.disable_compression {
        set("Accept-Encoding", "gzip");
    }
    if options.disable_keepalive {
        set("Connection", "close");
    }
    if let Some(host) = &options.host {
        set("Host", host);
    }
    if let Some(credentials) = credentials(url, options)? {
        set("Authorization", &format!("Basic {}", STANDARD.encode(credentials)));
    }
    for field in &options.header {
        let (name, value) = field.split_once(':').ok_or_else(|| PlanError::Header(field.clone()))?;
        set(name, value.trim());
    }
    if let Some(accept) = &options.accept {
        set("Accept", accept);
    }
    let is_text = |value: &str| value.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f));
    match all.iter().find(|(name, value)| !is_token(name) || !is_text(value)) {
        Some((name, value)) => Err(PlanError::Header(format!("{name}: {value}"))),
        None => Ok(all),
    }
}

/// Who asks: as given, else as the URL says.
fn credentials(url: &Url, options: &LoadOptions) -> Result<Option<Vec<u8>>, PlanError> {
    if let Some(given) = &options.auth {
        let is_pair = given.split_once(':').is_some_and(|(user, _)| !user.is_empty());
        return if is_pair { Ok(Some(given.as_bytes().to_vec())) } else { Err(PlanError::Auth) };
    }
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    Ok(Some(pair))
}

fn body(options: LoadOptions) -> Result<Bytes, PlanError> {
    match (options.body_file, options.body) {
        (Some(path), _) => match std::fs::read(&path) {
            Ok(bytes) => Ok(bytes.into()),
            Err(error) => Err(PlanError::Body { path, error }),
        },
        (None, Some(text)) => Ok(text.into()),
        (None, None) => Ok(Bytes::new()),
    }
}

fn engine(choice: EngineChoice, url: &Url) -> Result<EngineKind, PlanError> {
    let tls = url.scheme() == "https";
    match choice {
        EngineChoice::Fake => Ok(EngineKind::Fake),
        EngineChoice::Reqwest => Ok(EngineKind::Reqwest),
        EngineChoice::Auto if tls => Ok(EngineKind::Reqwest),
        EngineChoice::Http1 if tls => Err(PlanError::Tls(masked(url))),
        EngineChoice::Auto | EngineChoice::Http1 => Ok(EngineKind::Http1),
    }
}

/// The URL with its password hidden.
pub(crate) fn masked(url: &Url) -> String {
    let mut url = url.clone();
    if url.password().is_some() {
        let _ = url.set_password(Some("***"));
    }
    url.to_string()
}

/// A header's value as it may be stored: credentials are not.
fn shown<'a>(name: &str, value: &'a str) -> &'a str {
    if is_secret(name) { "***" } else { value }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;

//! What exactly will happen? A plan is final: nothing in it is defaulted later, and the document echoes all of it.

pub(crate) mod command;
pub(crate) mod front;
mod mix;
mod pace;
mod request;
mod route;
mod target;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use report::assertion::Assertion;
use report::cpus::Cpus;
use url::Url;

pub use self::command::{Command, CommandError};
pub use self::front::Front;
pub use self::mix::Mix;
use self::pace::{MOST_REQUESTS, pace};
pub use self::pace::{Model, Open, Stop};
pub(crate) use self::request::masked;
use self::request::{body, headers, is_token, method, parse_url, shown};
pub use self::route::{Protocol, Route, TlsOptions};
pub use self::target::{Embedded, Settle, Target};
use self::target::{MOST_INSTANCES, allowed};
use crate::arrival;
use crate::check::Watch;
use crate::curl::{self, CurlError};
use crate::hash::fnv1a;
use crate::mix::MixError;
use crate::options::{EngineChoice, LoadOptions, TargetOptions};
use crate::quantity::{Span, Timeout};
use crate::source::{Request, Source, is_secret};

/// hey's defaults.
const CONNECTIONS: usize = 50;
const TIMEOUT: Duration = Duration::from_secs(20);
/// As hey, and as browsers: after ten redirects one goes in circles.
const REDIRECTS: u64 = 10;
/// A second worker pays off from this many connections per worker on.
const CONNECTIONS_PER_WORKER: usize = 16;

/// Everything a run will do.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The scenario's name, or `load`.
    pub name: String,
    /// What is loaded.
    pub target: Target,
    /// How it is loaded.
    pub load: Load,
    /// What must hold of the run.
    pub assertions: Vec<Asserted>,
}

/// One assertion of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Asserted {
    /// What must hold.
    pub assertion: Assertion,
    /// Why it is not judged, if it is not.
    pub skipped: Option<&'static str>,
}

/// The engine that carries the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// [`crate::engine::http1`].
    Http1,
    /// [`crate::engine::http2`].
    Http2,
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
            Self::Http2 => "http2",
            Self::Reqwest => "reqwest",
            Self::Fake => "fake",
        }
    }
}

/// How it is loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// Where requests go; of a mix, what its paths belong to, or the URL of the first.
    pub url: Url,
    /// The requests of a mix, where there is one.
    pub mix: Option<Arc<Mix>>,
    /// What is looked at in every answer.
    pub watch: Watch,
    /// How long the load goes on before what is measured begins.
    pub warmup: Duration,
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
    /// CPUs that the generator runs on. `None`: all.
    pub cpu_set: Option<Cpus>,
    /// Worker threads.
    pub workers: NonZeroUsize,
    /// How many redirects one request follows; 0: a redirect is an answer like any other.
    pub redirects: u64,
    /// How one gets to the server.
    pub route: Route,
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
    /// What knows the settings of the embedded server; absent in a program that was built without it.
    pub settle: Option<Settle>,
    /// Tells which CPUs this process may use; `None` where the system does not say.
    pub allowed: fn() -> Option<Cpus>,
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
    #[error("{key} is {cpus}, and loadgen may use the CPUs {allowed} here, not CPU {cpu}")]
    Cpu { key: &'static str, cpus: Cpus, cpu: u32, allowed: Cpus },
    #[error("more than {MOST_INSTANCES} instances are not started on one machine")]
    TooManyInstances,
    #[error("--auth (-a) takes a user and a password, like user:password")]
    Auth,
    #[error("cannot read the request body from {}: {}", path.display(), report::os::why(error))]
    Body { path: PathBuf, error: std::io::Error },
    #[error(transparent)]
    Mix(#[from] MixError),
    #[error(transparent)]
    Curl(#[from] CurlError),
    #[error(
        "no URL: say what to load, like `loadgen -z 10s -c 100 http://127.0.0.1:8080/` (--help shows more)"
    )]
    NoUrl,
    #[error("`{0}` is a path: say which server it belongs to with a URL beside --mix")]
    NoBase(String),
    #[error("the target is started for this run, and the mix goes to another server: write paths only")]
    LeavesTarget,
    #[error("`{}` is not the name of a header field", report::units::one_line(.0))]
    HeaderName(String),
    #[error("--count-header would store every value of `{0}`, which is a secret: count by another field")]
    CountsSecrets(String),
    #[error("--key is the key of a certificate: give its --cert too")]
    NeedsCert,
    #[error("--http2 is agreed upon in TLS: use an https:// URL, or --h2c for HTTP/2 over plain TCP")]
    Http2NeedsTls,
    #[error("--h2c is HTTP/2 over plain TCP: use --http2 for an https:// URL")]
    H2cIsPlain,
    #[error("--streams is about HTTP/2: give --http2 or --h2c too")]
    NeedsHttp2,
    #[error("--engine http2 speaks HTTP/2: give --http2 or --h2c too")]
    NeedsHttp2Engine,
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
    NotStarted(String),
    #[error("the target cannot be started like this: {0}")]
    Setting(String),
    #[error("the target cannot be started like this: {0}")]
    Command(#[from] CommandError),
}

impl Plan {
    /// The plan of a plain load test of `url`; without one, a curl command or a mix says where requests go.
    ///
    /// # Errors
    /// When an option has a value that cannot be honoured.
    pub fn of_url<'a>(
        url: impl Into<Option<&'a str>>,
        mut options: LoadOptions,
        around: Surroundings,
    ) -> Result<Self, PlanError> {
        let mut url = url.into().map(str::to_owned);
        if let Some(command) = options.curl.take() {
            let (all, its_url) = curl::under(&command, options)?;
            options = all;
            url = url.or(Some(its_url));
        }
        let url = url.as_deref().map(parse_url).transpose()?;
        let load = Load::resolve(url, options, around)?;
        Ok(Self { name: "load".to_owned(), target: Target::External, load, assertions: Vec::new() })
    }

    /// The plan of a scenario.
    ///
    /// # Errors
    /// When an option has a value that cannot be honoured.
    pub fn of_scenario(
        name: &str,
        mut target: TargetOptions,
        mut load: LoadOptions,
        around: Surroundings,
    ) -> Result<Self, PlanError> {
        if let Some(command) = load.curl.take() {
            let (all, url) = curl::under(&command, load)?;
            load = all;
            // The command names a server: nothing is started, as with a `url`.
            target.url = target.url.or(Some(url));
        }
        let (target, url) = Target::resolve(target, around)?;
        let load = Load::resolve(Some(url), load, around)?;
        if let Target::Command(command) = &target
            && command.is_at_sockets()
        {
            load.route.leads_to_sockets(load.engine)?;
        }
        if !matches!(target, Target::External) && load.mix.as_ref().is_some_and(|mix| mix.leaves()) {
            return Err(PlanError::LeavesTarget);
        }
        Ok(Self { name: name.to_owned(), target, load, assertions: Vec::new() })
    }

    /// The same with what must hold of the run.
    #[must_use]
    pub fn asserting(self, assertions: impl IntoIterator<Item = Assertion>) -> Self {
        let asserted = assertions.into_iter().map(|assertion| Asserted { assertion, skipped: None });
        Self { assertions: self.assertions.into_iter().chain(asserted).collect(), ..self }
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
        if let Some(mix) = &load.mix {
            put("load.mix", mix.label.clone());
            put("load.seed", mix.seed.to_string());
        }
        if !load.watch.checks.is_empty() {
            let checks: Vec<_> = load.watch.checks.iter().map(ToString::to_string).collect();
            put("load.check", checks.join(" | "));
        }
        if let Some(header) = &load.watch.count_header {
            put("load.count_header", header.clone());
        }
        if !load.warmup.is_zero() {
            put("load.warmup", Span(load.warmup).to_string());
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
        if let Some(cpus) = &load.cpu_set {
            put("load.cpu_set", cpus.to_string());
        }
        put("load.workers", load.workers.to_string());
        put("load.redirects", load.redirects.to_string());
        put("load.engine", load.engine.name().to_owned());
        for (key, value) in load.route.pairs() {
            put(key, value);
        }
        pairs.extend(self.target.pairs());
        pairs
    }

    /// Hash of the pairs that make two runs repeats of each other: not ports and file names, not what the machine decides.
    /// Repeats may be made on free ports and with temporary files.
    pub fn key(&self) -> String {
        let mut pairs = self.pairs();
        for chance in ["load.workers", "load.seed"] {
            pairs.remove(chance);
        }
        if matches!(self.target, Target::Command(_)) {
            // How long one would be patient with it, and where its rows lie, makes no other target.
            for aside in ["target.ready_timeout", "target.stop_timeout", "target.database", "target.version"]
            {
                pairs.remove(aside);
            }
        }
        for aside in ["ready_timeout", "stop_timeout", "version"] {
            pairs.remove(&format!("target.front.{aside}"));
        }
        if let Some(mix) = &self.load.mix {
            pairs.insert("load.mix".to_owned(), format!("{:016x}", mix.hash));
        }
        let lasting = self.load.route.without_ports_and_paths().pairs();
        pairs.extend(lasting.into_iter().map(|(key, value)| (key.to_owned(), value)));
        let lines: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!("{:016x}", fnv1a(lines.join("\n").as_bytes()))
    }

    /// Everything that is sent, when it is known where the target listens. `None`: at the plan's own URL, or at unix sockets.
    pub fn source(&self, address: Option<std::net::SocketAddr>) -> Source {
        let mut url = self.load.url.clone();
        if let Some(address) = address {
            // Neither fails: an http URL takes any address and port.
            let _ = url.set_ip_host(address.ip());
            let _ = url.set_port(Some(address.port()));
        }
        let Load { mix, watch, method, headers, body, route, .. } = &self.load;
        let proxy = route.proxy.as_ref();
        let finish = |request: Request| {
            let request = request.keeping(watch.keep());
            match proxy {
                Some(proxy) => request.forwarded(proxy.authorization()),
                None => request,
            }
        };
        if let Some(mix) = mix {
            return mix.source(&url, finish);
        }
        Source::one(finish(Request::new(method, url, headers.as_slice(), body.clone())))
    }
}

impl Load {
    fn resolve(url: Option<Url>, options: LoadOptions, around: Surroundings) -> Result<Self, PlanError> {
        let method = method(options.method.as_deref().unwrap_or("GET"))?;
        let (model, stop) = pace(&options, around)?;
        let seed = options.seed.unwrap_or(around.seed);
        let mixed = options.mix.as_deref().map(|path| Mix::resolve(path, url.as_ref(), &options, seed));
        let (mix, first) = mixed.transpose()?.map_or((None, None), |(mix, first)| (Some(mix), Some(first)));
        let url = url.or(first).ok_or(PlanError::NoUrl)?;
        let headers = headers(&url, &options, &[])?;
        let tls = url.scheme() == "https" && mix.is_none() || mix.as_ref().is_some_and(|mix| mix.tls);
        let route = Route::resolve(tls, &options)?;
        if route.protocol == Protocol::Http2 && mix.as_ref().is_some_and(|mix| mix.plain) {
            return Err(PlanError::Http2NeedsTls);
        }
        let asked = options.connections.map_or(CONNECTIONS, |n| n.get() as usize);
        // More connections than requests would leave some without any.
        let useful = match (&model, stop) {
            (Model::Open(open), _) => arrival::number(&open.stages),
            (Model::Closed { .. }, Stop::Requests(requests)) => requests,
            (Model::Closed { .. }, Stop::Duration(_)) => u64::MAX,
        };
        let useful = usize::try_from(useful).unwrap_or(usize::MAX).div_ceil(route.streams.get());
        let connections = NonZeroUsize::new(asked.min(useful)).unwrap_or(NonZeroUsize::MIN);
        let timeout = options.timeout.unwrap_or(Timeout(Some(TIMEOUT))).0;
        let drain = options.drain.map_or(timeout.unwrap_or(TIMEOUT), |span| span.0);
        if let Some(cpus) = &options.cpu_set {
            allowed("load.cpu_set", cpus, around)?;
        }
        let cpus = options.cpu_set.as_ref().map_or(usize::MAX, Cpus::count).min(around.cpus.get());
        let default_workers = connections.get().div_ceil(CONNECTIONS_PER_WORKER).min(cpus);
        let workers =
            options.workers.map_or(default_workers, |n| usize::from(n.get())).min(connections.get());
        let workers = NonZeroUsize::new(workers).unwrap_or(NonZeroUsize::MIN);
        let engine = route.engine(options.engine.unwrap_or(EngineChoice::Auto))?;
        let redirects = if options.disable_redirects { 0 } else { REDIRECTS };
        let body = body(&options)?;
        let warmup = options.warmup.map_or(Duration::ZERO, |span| span.0);
        let cpu_set = options.cpu_set.clone();
        let watch = watch(options)?;
        Ok(Self {
            url,
            mix: mix.map(Arc::new),
            watch,
            warmup,
            method,
            headers,
            body,
            connections,
            stop,
            model,
            timeout,
            drain,
            cpu_set,
            workers,
            redirects,
            route,
            engine,
        })
    }
}

/// What is looked at in every answer.
fn watch(options: LoadOptions) -> Result<Watch, PlanError> {
    let LoadOptions { check: checks, count_header, .. } = options;
    match count_header {
        Some(name) if !is_token(&name) => Err(PlanError::HeaderName(name)),
        Some(name) if is_secret(&name) => Err(PlanError::CountsSecrets(name)),
        count_header => Ok(Watch { checks, count_header }),
    }
}

#[cfg(test)]
mod tests;

//! How does it misbehave on purpose?
//!
//! One grammar ([`Faults`]) for the whole server and for single requests, one draw per request ([`Drawn`]), and an account of
//! what was done ([`Kind`]), so that what a load tester tells can be checked.

mod body;
mod draw;
mod grammar;
mod window;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use body::Content;
pub use draw::Drawn;
pub use grammar::{FaultError, Faults, Share};
pub use window::{Freeze, Hiccup};

pub(crate) use body::Paced;

use crate::clock;

/// The longest delay, drip, hiccup or freeze, and the longest delay that requests in flight add up to.
pub const MAX_DELAY: Duration = Duration::from_secs(60);

/// The largest answer that can be asked for, in bytes.
pub const MAX_SIZE: u64 = 64 << 20;

/// The most values in one list, and the longest text of faults in bytes: what is longer was not typed by a person.
pub const MAX_VALUES: usize = 32;

/// See [`MAX_VALUES`].
pub const MAX_TEXT: usize = 2048;

/// The field of a request that asks for faults, with the same words as in the query.
pub const HEADER: &str = "x-fault";

/// What can be done to a request. The names are those of the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The answer waited.
    Delay,
    /// It waited the longer the more requests were in flight.
    DelayPerInflight,
    /// It had another status.
    Status,
    /// It had another size.
    Size,
    /// The connection was closed after it.
    Close,
    /// It waited for the end of a hiccup.
    Hiccup,
    /// It waited for the end of the freeze.
    Freeze,
    /// The connection was reset instead.
    Reset,
    /// Half of its body was sent.
    Truncate,
    /// Its body was sent in pieces.
    Drip,
    /// It was never sent.
    Never,
}

impl Kind {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 11] = [
        Self::Delay,
        Self::DelayPerInflight,
        Self::Status,
        Self::Size,
        Self::Close,
        Self::Hiccup,
        Self::Freeze,
        Self::Reset,
        Self::Truncate,
        Self::Drip,
        Self::Never,
    ];

    /// As it is typed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delay => "delay",
            Self::DelayPerInflight => "delay-per-inflight",
            Self::Status => "status",
            Self::Size => "size",
            Self::Close => "close",
            Self::Hiccup => "hiccup",
            Self::Freeze => "freeze",
            Self::Reset => "reset",
            Self::Truncate => "truncate",
            Self::Drip => "drip",
            Self::Never => "never",
        }
    }

    /// Whether one request can have it alone; otherwise all do.
    pub const fn of_one_request(self) -> bool {
        !matches!(self, Self::Hiccup | Self::Freeze)
    }

    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// The faults of a server while it runs.
#[derive(Debug)]
pub struct Mischief {
    /// Whether requests may ask for faults, and the admin paths may change them.
    pub allowed: bool,
    seed: u64,
    now: Mutex<Active>,
    /// Whether there are any: most servers have none, and ask for every request.
    any: AtomicBool,
    /// Requests that have drawn so far.
    drawn: AtomicU64,
}

/// What is in force, and since when.
#[derive(Clone, Debug)]
struct Active {
    faults: Arc<Faults>,
    origin: Instant,
}

/// What one request has before it.
#[derive(Clone, Debug)]
pub struct Fate {
    /// Its own.
    pub drawn: Drawn,
    /// Those of the server at that time, whose windows concern it.
    faults: Arc<Faults>,
    origin: Instant,
}

impl Mischief {
    /// These faults from now on.
    pub fn new(faults: Faults, allowed: bool, seed: u64) -> Self {
        let any = AtomicBool::new(!faults.is_empty());
        let now = Active { faults: Arc::new(faults), origin: clock::now() };
        Self { allowed, seed, now: Mutex::new(now), any, drawn: AtomicU64::new(0) }
    }

    /// What draws are made from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What is in force.
    pub fn faults(&self) -> Arc<Faults> {
        Arc::clone(&self.active().faults)
    }

    /// Puts others in force. Windows count from now, and draws begin anew.
    pub fn set(&self, faults: Faults) {
        self.any.store(!faults.is_empty(), Ordering::Relaxed);
        self.active().faults = Arc::new(faults);
        self.restart();
    }

    /// Lets windows count from now, and draws begin anew: what follows repeats what followed the start.
    pub fn restart(&self) {
        self.active().origin = clock::now();
        self.drawn.store(0, Ordering::Relaxed);
    }

    /// What the next request has before it: `None` when there is nothing. What it asks for itself replaces what the
    /// server does to everybody, key by key.
    pub fn next(&self, own: Option<Faults>) -> Option<Fate> {
        if own.is_none() && !self.any.load(Ordering::Relaxed) {
            return None;
        }
        let Active { faults, origin } = self.active().clone();
        let number = self.drawn.fetch_add(1, Ordering::Relaxed);
        let drawn = match own {
            Some(own) => Drawn::draw(&own.over(&faults), self.seed, number),
            None => Drawn::draw(&faults, self.seed, number),
        };
        Some(Fate { drawn, faults, origin })
    }

    fn active(&self) -> std::sync::MutexGuard<'_, Active> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fate {
    /// Until when the whole server says nothing, if it is silent at `now`, and of which kind that is.
    pub fn frozen(&self, now: Instant) -> Option<(Instant, Kind)> {
        let since = now.saturating_duration_since(self.origin);
        let freeze = self.faults.freeze.and_then(|freeze| freeze.end(since)).map(|end| (end, Kind::Freeze));
        let hiccup = self.faults.hiccup.and_then(|hiccup| hiccup.end(since)).map(|end| (end, Kind::Hiccup));
        freeze
            .into_iter()
            .chain(hiccup)
            .max_by_key(|(end, _)| *end)
            .map(|(end, kind)| (self.origin + end, kind))
    }
}

/// What a request asks for in its query and in its header; the header wins. `None` when it asks for nothing.
///
/// # Errors
/// When it asks for something that there is not.
pub(crate) fn asked<B>(request: &http::Request<B>) -> Result<Option<Faults>, FaultError> {
    let query = request.uri().query().map_or(Ok(None), Faults::of_query)?;
    let mut fields = request.headers().get_all(HEADER).iter();
    let Some(value) = fields.next() else { return Ok(query) };
    if fields.next().is_some() {
        return Err(FaultError::Several);
    }
    let text = value.to_str().map_err(|_| FaultError::NotText)?;
    let header = Faults::of_request(text)?;
    Ok(Some(match query {
        Some(query) => header.over(&query),
        None => header,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, header: Option<&str>) -> Result<Option<String>, String> {
        let builder = http::Request::builder().uri(uri);
        let builder = match header {
            Some(value) => builder.header(HEADER, value),
            None => builder,
        };
        let faults = asked(&builder.body(()).unwrap());
        faults.map(|faults| faults.map(|faults| faults.to_string())).map_err(|error| error.to_string())
    }

    #[test]
    fn a_request_asks_in_its_query_or_its_header() {
        for (uri, header, meant) in [
            ("/orders?id=7", None, None),
            ("/", None, None),
            ("/?id=7&delay=2ms&x", None, Some("delay=2ms")),
            ("/?delay=1ms%3A5%2c2ms%3A7&%64rip=1s&x=%ff", None, Some("delay=1ms:5,2ms:7&drip=1s")),
            ("/", Some("status=503:10"), Some("status=503:10")),
            ("/?delay=1ms&close=5", Some("delay=3ms"), Some("delay=3ms&close=5")),
        ] {
            assert_eq!(request(uri, header), Ok(meant.map(ToOwned::to_owned)), "{uri}");
        }
        assert!(request("/?delay=soon", None).unwrap_err().contains("delay=soon"));
        assert!(request("/", Some("slow=1")).unwrap_err().contains("slow"));
        assert!(request("/?freeze=1s@1s", None).unwrap_err().contains("whole server"));
        assert!(request("/?freeze=1s%401s", None).unwrap_err().contains("whole server"));
        assert!(request("/?delay=%ff", None).unwrap_err().contains("not UTF-8"));
    }

    #[test]
    fn without_faults_nothing_is_drawn() {
        let mischief = Mischief::new(Faults::default(), true, 1);
        assert!(mischief.next(None).is_none());
        mischief.set("delay=1ms".parse().unwrap());
        assert_eq!(mischief.next(None).unwrap().drawn.delay, Duration::from_millis(1));
        let own = "delay=5ms&size=3".parse().unwrap();
        let drawn = mischief.next(Some(own)).unwrap().drawn;
        assert_eq!((drawn.delay, drawn.size), (Duration::from_millis(5), Some(3)));
    }

    #[test]
    fn windows_count_from_the_restart() {
        let mischief = Mischief::new("freeze=2s@0s".parse().unwrap(), false, 1);
        let fate = mischief.next(None).unwrap();
        assert!(
            matches!(fate.frozen(fate.origin), Some((end, Kind::Freeze)) if end == fate.origin + Duration::from_secs(2))
        );
        assert!(fate.frozen(fate.origin + Duration::from_secs(2)).is_none());
        mischief.restart();
        assert!(mischief.next(None).unwrap().origin >= fate.origin);
    }
}

//! What a URL asks of the server: words and their values as the parts of its path, one after the other.
//!
//! `/bytes/1000/chunked`, `/delay/5ms/share/0.1/delay/50ms`, `/status/503`, `/share/0.01/silence`.

use std::str::FromStr;
use std::time::Duration;

use super::{Answer, Behaviour, Chance, End, Framing, Queue, Turn};
use crate::clock::nanos;
use crate::quantity::{Span, SpanError};

/// Size of the chunks of `/chunked`.
const CHUNK: u64 = 1000;
/// Draws of one request differ by their place in the path.
const PLACES: u64 = 64;

/// The path under which the counts are told.
const COUNTS: &str = "/truth.json";

/// A script that does what the path of each request says.
#[derive(Debug, Default)]
pub struct ByPath {
    chance: u64,
    always: Option<String>,
    queue: Queue,
}

/// Why a path says nothing. Each message says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum PathError {
    #[error("`{0}` is nothing that the truth server does; `loadgen truth-server --help` lists what it does")]
    Word(String),
    #[error("`{0}` wants a value, as the next part of the path")]
    NoValue(&'static str),
    #[error("`{1}` is no value for `{0}`")]
    Value(&'static str, String),
    #[error(transparent)]
    Span(#[from] SpanError),
}

/// What the parts of a path add up to.
struct Sum {
    answer: Answer,
    delay: Duration,
    cut: Option<(u64, End)>,
    instead: Option<Behaviour>,
}

impl ByPath {
    /// A script whose draws come from this seed. `always`: a path that counts instead of that of the request.
    ///
    /// # Errors
    /// When `always` says nothing.
    pub fn new(seed: u64, always: Option<String>) -> Result<Self, PathError> {
        let script = Self { chance: seed, always, queue: Queue::default() };
        if let Some(path) = &script.always {
            // The queue of a trial is not the server's.
            Self::default().read(path, 0, 0)?;
        }
        Ok(script)
    }

    /// What to do with this request. A path that says nothing is answered with 404.
    pub fn behaviour(&self, turn: &Turn<'_>) -> Behaviour {
        if turn.head.target == COUNTS {
            return Behaviour::Counts;
        }
        let target = turn.head.target.split('?').next().unwrap_or_default();
        let path = self.always.as_deref().unwrap_or(target);
        self.read(path, turn.number, turn.at).unwrap_or_else(|_| Answer::status(404).into())
    }

    fn read(&self, path: &str, number: u64, at: u64) -> Result<Behaviour, PathError> {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let mut sum = Sum { answer: Answer::ok(0), delay: Duration::ZERO, cut: None, instead: None };
        let mut place = 0;
        let mut counts = true;
        while let Some(word) = parts.next() {
            place += 1;
            let chance = Chance(self.chance.wrapping_mul(PLACES).wrapping_add(place));
            let mut value = |name: &'static str| parts.next().ok_or(PathError::NoValue(name));
            if word == "share" {
                let share: f64 = number_of("share", value("share")?)?;
                counts = chance.uniform(number) < share;
                continue;
            }
            let before = (!counts).then(|| sum.clone_parts());
            match word {
                "bytes" => sum.answer = sum.answer.body(number_of("bytes", value("bytes")?)?),
                "status" => {
                    let status: u16 = number_of("status", value("status")?)?;
                    // Lower ones are no answers, and higher ones no statuses.
                    if !(200..600).contains(&status) {
                        return Err(PathError::Value("status", status.to_string()));
                    }
                    sum.answer = sum.answer.with_status(status);
                }
                "delay" => sum.delay = span(value("delay")?)?,
                "exp" => sum.delay = chance.exponential(number, span(value("exp")?)?),
                "drip" => sum.answer = sum.answer.drip(span(value("drip")?)?),
                "freeze" => {
                    let (from, length) = (span(value("freeze")?)?, span(value("freeze")?)?);
                    sum.delay = sum.delay.max(frozen(from, length, at));
                }
                "queue" => {
                    let service = chance.exponential(number, span(value("queue")?)?);
                    if counts {
                        sum.delay = self.queue.enter(at, service);
                    }
                }
                "chunked" => sum.answer = sum.answer.framed(Framing::chunked([CHUNK])),
                "until-close" => sum.answer = sum.answer.framed(Framing::UntilClose),
                "close" => sum.answer = sum.answer.close(),
                "echo" => sum.answer = sum.answer.echo(),
                "truncate" => sum.cut = Some((number_of("truncate", value("truncate")?)?, End::Close)),
                "reset" => sum.instead = Some(Behaviour::End(End::Reset)),
                "hang-up" => sum.instead = Some(Behaviour::End(End::Close)),
                "silence" => sum.instead = Some(Behaviour::Silence),
                "garbage" => sum.instead = Some(Behaviour::Raw(b"not HTTP\r\n\r\n".to_vec(), End::Close)),
                _ => return Err(PathError::Word(word.to_owned())),
            }
            if let Some(before) = before {
                sum = before;
            }
            counts = true;
        }
        Ok(sum.behaviour())
    }
}

impl Sum {
    fn clone_parts(&self) -> Self {
        let Self { answer, delay, cut, instead } = self;
        Self { answer: answer.clone(), delay: *delay, cut: *cut, instead: instead.clone() }
    }

    fn behaviour(self) -> Behaviour {
        let Self { answer, delay, cut, instead } = self;
        if let Some(behaviour) = instead {
            return behaviour;
        }
        let answer = if delay.is_zero() { answer } else { answer.after(delay) };
        match cut {
            Some((bytes, end)) => {
                let head = answer.wire_length(0, true);
                answer.cut(head + bytes, end).into()
            }
            None => answer.into(),
        }
    }
}

/// How long a request that came at `at` waits for the end of a stall.
fn frozen(from: Duration, length: Duration, at: u64) -> Duration {
    let (begin, end) = (nanos(from), nanos(from).saturating_add(nanos(length)));
    if (begin..end).contains(&at) { Duration::from_nanos(end - at) } else { Duration::ZERO }
}

fn number_of<N: FromStr>(word: &'static str, text: &str) -> Result<N, PathError> {
    text.parse().map_err(|_| PathError::Value(word, text.to_owned()))
}

fn span(text: &str) -> Result<Duration, PathError> {
    Ok(text.parse::<Span>()?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str, number: u64, at: u64) -> Behaviour {
        ByPath::default().read(path, number, at).unwrap()
    }

    #[test]
    fn words_add_up() {
        assert_eq!(read("/", 0, 0), Answer::ok(0).into());
        let long = Answer::ok(1000).framed(Framing::chunked([CHUNK])).after(Duration::from_millis(5));
        assert_eq!(read("/bytes/1000/chunked/delay/5ms", 0, 0), long.into());
        assert_eq!(read("/status/503/bytes/3", 0, 0), Answer::status(503).body(3).into());
        assert_eq!(read("/bytes/9/silence", 0, 0), Behaviour::Silence);
        let head = Answer::ok(100).wire_length(0, true);
        assert_eq!(read("/bytes/100/truncate/40", 0, 0), Answer::ok(100).cut(head + 40, End::Close).into());
    }

    #[test]
    fn a_share_is_met_and_repeated() {
        let silent = |seed: u64| -> Vec<u64> {
            let script = ByPath { chance: seed, ..ByPath::default() };
            let is_silent =
                |number: &u64| script.read("/share/0.1/silence", *number, 0) == Ok(Behaviour::Silence);
            (0..10_000).filter(is_silent).collect()
        };
        // A thousand, within five standard deviations.
        assert!((850..=1150).contains(&silent(1).len()), "{}", silent(1).len());
        assert_eq!(silent(1), silent(1));
        assert_ne!(silent(1), silent(2));
        // Only the next word depends on it.
        assert_eq!(read("/share/0/status/503/bytes/7", 3, 0), Answer::ok(7).into());
        assert_eq!(read("/share/1/status/503/bytes/7", 3, 0), Answer::status(503).body(7).into());
    }

    #[test]
    fn a_stall_ends_for_everybody_at_once() {
        let delay = |at| read("/freeze/1s/500ms", 0, at);
        assert_eq!(delay(999_999_999), Answer::ok(0).into());
        assert_eq!(delay(1_000_000_000), Answer::ok(0).after(Duration::from_millis(500)).into());
        assert_eq!(delay(1_499_000_000), Answer::ok(0).after(Duration::from_millis(1)).into());
        assert_eq!(delay(1_500_000_000), Answer::ok(0).into());
    }

    #[test]
    fn what_says_nothing_is_refused() {
        let refused = |path: &str| ByPath::new(0, Some(path.to_owned())).unwrap_err().to_string();
        assert!(refused("/stutter").starts_with("`stutter` is nothing that the truth server does"));
        assert_eq!(refused("/bytes"), "`bytes` wants a value, as the next part of the path");
        assert_eq!(refused("/bytes/many"), "`many` is no value for `bytes`");
        assert_eq!(refused("/status/99"), "`99` is no value for `status`");
        assert_eq!(refused("/delay/5"), "`5` has no unit: did you mean `5s`?");
    }
}

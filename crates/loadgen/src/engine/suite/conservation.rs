//! Nothing is lost and nothing invented, in every combination of what decides when requests are sent and over what.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Answer, Behaviour, Case, End, EngineChoice, Framing, Sides, Turn, Wire};
use crate::options::LoadOptions;
use crate::quantity::{Rate, Span};

/// Every way there is, and its name.
const WIRES: [(&str, Wire); 4] = [
    ("http1", Wire::plain(EngineChoice::Http1)),
    ("http1 in TLS", Wire::tls(EngineChoice::Http1)),
    ("reqwest", Wire::plain(EngineChoice::Reqwest)),
    ("reqwest in TLS", Wire::tls(EngineChoice::Reqwest)),
];

/// Something that is typed, and its name.
type Choice = (&'static str, fn(&mut LoadOptions));

const CONNECTIONS: [Choice; 2] =
    [("kept", |_| {}), ("closed after each answer", |options| options.disable_keepalive = true)];

const STOPS: [Choice; 4] = [
    ("-n", |_| {}),
    ("-z", |options| options.duration = Some(Span(Duration::from_millis(300)))),
    ("-z at a rate", |options| {
        options.duration = Some(Span(Duration::from_millis(300)));
        options.rate = Some(Rate(500.0));
    }),
    ("-z at a rate per connection", |options| {
        options.duration = Some(Span(Duration::from_millis(300)));
        options.rate_per_connection = Some(Rate(50.0));
    }),
];

/// Everything that a server does with a request, in turn. None of it closes without a word: whether the next request of
/// such a connection still reaches the server is chance.
fn everything(turn: &Turn<'_>) -> Behaviour {
    match turn.number % 8 {
        0 => Answer::status(503).body(30).into(),
        1 => Answer::ok(1000).cut(500, End::Close).into(),
        2 => Behaviour::End(End::Reset),
        3 => Answer::ok(500).framed(Framing::chunked([7, 100])).into(),
        4 if turn.number % 64 == 4 => Behaviour::Silence,
        5 => Answer::ok(100).close().into(),
        6 => Answer::status(204).after(Duration::from_millis(2)).into(),
        _ => Answer::ok(100_000).into(),
    }
}

#[test]
fn in_every_combination() {
    for (name, wire) in WIRES {
        for (connections, keep) in CONNECTIONS {
            for (stop, set) in STOPS {
                let mut case = Case::new(wire, 400, 8).on_workers(2).timeout(Duration::from_millis(250));
                // Longer than any machine is busy, so nothing is left at its end.
                case.options.drain = Some(Span(Duration::from_secs(20)));
                for choice in [keep, set] {
                    choice(&mut case.options);
                }
                let name = format!("{name}, connections {connections}, {stop}");
                let silences = Arc::new(AtomicU64::new(0));
                let heard = Arc::clone(&silences);
                let sides = case.load(move |turn| {
                    let behaviour = everything(turn);
                    if matches!(behaviour, Behaviour::Silence) {
                        heard.fetch_add(1, Ordering::Relaxed);
                    }
                    behaviour
                });
                check(&name, &sides, silences.load(Ordering::Relaxed));
            }
        }
    }
}

/// What holds beside what [`Case::load`] checks of every run. That many requests the server left without an answer, on purpose.
fn check(name: &str, Sides { run, truth }: &Sides, silences: u64) {
    let account = &run.account;
    assert!(account.ok > 0 && account.http_error > 0 && account.failed > 0, "{name}: {account:?}");
    assert_eq!((account.unsent, account.aborted), (0, 0), "{name}: {account:?}");
    assert!(account.timeout >= silences, "{name}: {silences} {account:?}");
    // On a machine that is busy with something else, some more time out: before they arrive, or just before their answer.
    let late = account.timeout - silences;
    // Whatever was sent arrived, once: nothing here ends a connection behind the program's back.
    assert!(
        (account.sent - late..=account.sent).contains(&truth.requests),
        "{name}: {late} {account:?} {truth:?}"
    );
    let answered = account.answered();
    assert!((answered..=answered + late).contains(&truth.answers), "{name}: {late} {account:?} {truth:?}");
    assert_eq!(run.failures.values().map(|record| record.count).sum::<u64>(), account.failed, "{name}");
    assert!(run.bytes.body_read <= truth.body_written, "{name}: {:?} {truth:?}", run.bytes);
}

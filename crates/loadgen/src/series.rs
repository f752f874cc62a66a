//! Which runs make up a series, in which order, and how long will it take?

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use report::document::Overridden;

use crate::plan::{Plan, Stop};
use crate::scenario::Variant;

/// One run of a series.
#[derive(Debug, Clone)]
pub struct Turn {
    /// What is done.
    pub plan: Plan,
    /// What is special about it.
    pub variant: Variant,
    /// Which repeat of its plan it is, from 1, and of how many.
    pub repeat: (u32, u32),
    /// How long nothing is done before.
    pub pause: Duration,
    /// What its file alone would have made of the plan, where something else was typed.
    pub overridden: BTreeMap<String, Overridden>,
}

impl Turn {
    /// How long it loads, warm-up included. `None`: that depends on how fast the target is.
    pub fn load(&self) -> Option<Duration> {
        match self.plan.load.stop {
            Stop::Duration(duration) => Some(duration.saturating_add(self.plan.load.warmup)),
            Stop::Requests(_) => None,
        }
    }

    /// Scenario and variant in few words: `scaling store=pool instances=4`.
    pub fn brief(&self) -> String {
        format!("{}{}", self.plan.name, self.variant.brief())
    }
}

/// The keys in which a plan is another one than that of the file alone, with both values.
pub fn overridden(file: &Plan, used: &Plan) -> BTreeMap<String, Overridden> {
    let (file, used) = (file.pairs(), used.pairs());
    let keys = file.keys().chain(used.keys()).filter(|key| file.get(*key) != used.get(*key));
    let both = |key: &String| {
        let (file, used) = (file.get(key).cloned(), used.get(key).cloned());
        Overridden { file, used, follows: false }
    };
    keys.map(|key| (key.clone(), both(key))).collect()
}

/// Keys of a plan that options of other names say, or take the place of.
const SAID_BY: [(&str, &[&str]); 11] = [
    ("load.url", &["url", "path"]),
    (
        "load.headers",
        &[
            "header",
            "accept",
            "content_type",
            "user_agent",
            "auth",
            "host",
            "disable_compression",
            "disable_keepalive",
        ],
    ),
    ("load.body_bytes", &["body", "body_file"]),
    ("load.body_hash", &["body", "body_file"]),
    ("load.redirects", &["disable_redirects"]),
    ("load.requests", &["duration", "stages"]),
    ("load.duration", &["requests", "stages"]),
    ("load.rate", &["stages", "rate_per_connection"]),
    ("load.stages", &["rate", "rate_per_connection"]),
    ("load.rate_per_connection", &["rate", "stages"]),
    ("load.protocol", &["http1", "http2", "h2c"]),
];

/// Tells those keys that were typed from those that only follow from them. `typed`: names of options, and keys of settings
/// (`target.store`).
pub fn tell_apart(overridden: &mut BTreeMap<String, Overridden>, typed: &BTreeSet<String>) {
    let is_typed = |name: &str| typed.contains(name);
    // A curl command may say anything of the load.
    let is_whole = |key: &str| is_typed("curl") && key.starts_with("load.");
    for (key, of) in overridden {
        let name = key.split_once('.').map_or(key.as_str(), |(_, name)| name);
        let others = SAID_BY.iter().find(|(said, _)| said == key).map_or(&[][..], |(_, by)| *by);
        let is_said = is_typed(key) || is_typed(name) || is_whole(key);
        of.follows = !(is_said || others.iter().any(|option| is_typed(option)));
    }
}

/// How long what is left of a series will take, from what its runs are planned for and what earlier ones took.
#[derive(Debug, Clone, Default)]
pub struct Forecast {
    /// Of the runs that are over: how long one was planned to load, if that was known, and how long it took in all.
    over: Vec<(Option<Duration>, Duration)>,
}

impl Forecast {
    /// A run is over that took so long, from its start to its document.
    pub fn ran(&mut self, turn: &Turn, took: Duration) {
        self.over.push((turn.load(), took));
    }

    /// How long these runs will take, pauses included; starts and ends of targets as they were so far. `None`: nobody knows, because
    /// one of them ends after a number of requests, and none like it has run.
    pub fn of(&self, turns: &[Turn]) -> Option<Duration> {
        let mean = |times: Vec<Duration>| {
            let number = u32::try_from(times.len()).ok().filter(|number| *number > 0)?;
            Some(times.into_iter().sum::<Duration>() / number)
        };
        let around = self.over.iter().filter_map(|(load, took)| Some(took.saturating_sub((*load)?)));
        let around = mean(around.collect()).unwrap_or_default();
        let counted =
            mean(self.over.iter().filter(|(load, _)| load.is_none()).map(|(_, took)| *took).collect());
        let one = |turn: &Turn| {
            let run = turn.load().map(|load| load.saturating_add(around)).or(counted)?;
            Some(run.saturating_add(turn.pause))
        };
        turns.iter().map(one).try_fold(Duration::ZERO, |sum, one| Some(sum.saturating_add(one?)))
    }
}

/// A time that nobody needs to the second: `1 h 5 min`, `12 min`, `1 min 30 s`, `45 s`.
pub fn about(time: Duration) -> String {
    let seconds = time.as_secs_f64().round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a duration")]
    let seconds = seconds as u64;
    let (minutes, rest) = (seconds / 60, seconds % 60);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{rest} s"),
        (0, minutes) if minutes < 5 && rest > 0 => format!("{minutes} min {rest} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::options::{LoadOptions, TargetOptions};
    use crate::plan::Surroundings;

    fn turn(load: LoadOptions, pause: u64) -> Turn {
        let around = Surroundings { cpus: NonZeroUsize::MIN, seed: 1, settle: None, allowed: || None };
        let plan = Plan::of_scenario("s", TargetOptions::default(), load, around).unwrap();
        let variant = Variant::default();
        let pause = Duration::from_secs(pause);
        Turn { plan, variant, repeat: (1, 1), pause, overridden: BTreeMap::new() }
    }

    fn timed() -> Turn {
        let span = |text: &str| Some(text.parse().unwrap());
        turn(LoadOptions { duration: span("20s"), warmup: span("2s"), ..LoadOptions::default() }, 1)
    }

    #[test]
    fn what_is_left_is_what_is_planned_and_what_comes_with_it() {
        let mut forecast = Forecast::default();
        let turns = [timed(), timed()];
        assert_eq!(forecast.of(&turns), Some(Duration::from_secs(46)));
        forecast.ran(&turns[0], Duration::from_secs(25));
        assert_eq!(forecast.of(&turns), Some(Duration::from_secs(52)), "each takes 3 s more than its load");
        let counted = [turn(LoadOptions::default(), 0), timed()];
        assert_eq!(forecast.of(&counted), None);
        forecast.ran(&counted[0], Duration::from_secs(7));
        assert_eq!(forecast.of(&counted), Some(Duration::from_secs(7 + 26)));
    }

    #[test]
    fn what_was_overridden_has_both_values() {
        let other = turn(LoadOptions { requests: std::num::NonZeroU64::new(7), ..LoadOptions::default() }, 0);
        let overridden = overridden(&timed().plan, &other.plan);
        let both = |key: &str| (overridden[key].file.as_deref(), overridden[key].used.as_deref());
        assert_eq!(both("load.duration"), (Some("20s"), None));
        assert_eq!(both("load.requests"), (None, Some("7")));
        assert!(!overridden.contains_key("load.timeout"));
    }

    #[test]
    fn what_follows_from_what_was_typed_was_not_typed() {
        let followers = |typed: &[&str]| {
            let keys = ["load.connections", "load.headers", "load.requests", "load.workers", "target.store"];
            let of = Overridden { file: Some("1".into()), used: Some("2".into()), follows: false };
            let mut overridden = keys.map(|key| (key.to_owned(), of.clone())).into();
            tell_apart(&mut overridden, &typed.iter().map(|&name| name.to_owned()).collect());
            let followers = overridden.into_iter().filter(|(_, of)| of.follows);
            followers.map(|(key, _)| key.split_once('.').unwrap().1.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(followers(&["connections", "auth", "target.store"]), ["requests", "workers"]);
        assert_eq!(followers(&["duration", "workers"]), ["connections", "headers", "store"]);
        assert_eq!(followers(&["curl"]), ["store"]);
    }

    #[test]
    fn times_are_told_as_exactly_as_they_matter() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (90, "1 min 30 s"),
            (299, "4 min 59 s"),
            (330, "5 min"),
            (3600, "1 h"),
            (7500, "2 h 5 min"),
        ] {
            assert_eq!(about(Duration::from_secs(seconds)), text);
        }
    }
}

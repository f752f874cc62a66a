//! What the target did: who served, what was kept, what it cost, and where the time went inside it.

use crate::document::Run;
use crate::format::View;
use crate::summary::{Spent, TargetUse};
use crate::units::{count, counted, memory, nanos, one_line, share, whole};

/// Shares of more instances than this are a range.
const LISTED: usize = 4;

/// Processes that did not end as they were told to: a line each, where no note of the run says so already.
pub(super) fn odd(run: &Run) -> impl Iterator<Item = String> {
    let front = run.front.iter().map(|front| ("the front".to_owned(), &front.ended));
    let instances = run.instances.iter().map(|one| (format!("instance {}", one.number), &one.ended));
    let odd = front.chain(instances).filter(|(_, ended)| *ended != "stopped");
    let odd = odd.map(|(who, ended)| format!("{who} {}", one_line(ended)));
    odd.filter(|line| !run.notes.iter().any(|note| note.starts_with(line.as_str())))
}

/// Who served, behind what, in which shares, and the rows that were kept.
pub(super) fn served(run: &Run) -> Option<String> {
    let parts: Vec<String> = [instances(run), rows(run)].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn instances(run: &Run) -> Option<String> {
    let number = u64::try_from(run.instances.len()).unwrap_or(u64::MAX);
    let name = || run.versions.get("front").map_or_else(|| "a proxy".to_owned(), |version| brief(version));
    let front = run.front.as_ref().map(|_| format!("{} in front of ", name())).unwrap_or_default();
    let parts: Vec<String> = [shares(run), connections(run)].into_iter().flatten().collect();
    let parts = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    (number > 0).then(|| format!("{front}{}{parts}", counted(number, "instance")))
}

/// What a command says of its version, up to the number: `HAProxy version 3.0.11`.
fn brief(version: &str) -> String {
    let version = one_line(version);
    let has_number = |word: &&str| word.contains(|c: char| c.is_ascii_digit());
    match version.split(' ').find(has_number) {
        Some(word) => {
            let end = version.find(word).unwrap_or_default() + word.len();
            version[..end].trim_end_matches([',', ';']).to_owned()
        }
        None => version,
    }
}

/// Each instance's part of the requests that they say they answered.
fn shares(run: &Run) -> Option<String> {
    let answered = run.instances.iter().map(|instance| instance.answered).collect::<Option<Vec<u64>>>()?;
    let all: u64 = answered.iter().sum();
    let part = |answered: u64| share((answered as f64 / all as f64 * 1e3).round() / 1e3);
    let (fewest, most) = (*answered.iter().min()?, *answered.iter().max()?);
    if answered.len() < 2 || all == 0 {
        None
    } else if part(fewest) == part(most) {
        Some(format!("{} of the answers each", part(most)))
    } else if answered.len() > LISTED {
        Some(format!("{} to {} of the answers each", part(fewest), part(most)))
    } else {
        let parts: Vec<String> = answered.iter().map(|&answered| part(answered)).collect();
        Some(format!("{} of the answers", parts.join(", ")))
    }
}

/// How the connections were shared. What chance gives is in the warning of what is more than chance.
fn connections(run: &Run) -> Option<String> {
    let taken = run.instances.iter().map(|instance| instance.accepted).collect::<Option<Vec<u64>>>()?;
    let (fewest, most) = (*taken.iter().min()?, *taken.iter().max()?);
    let range = if fewest == most { String::new() } else { format!("{} to ", count(fewest)) };
    (taken.len() > 1 && most > 0).then(|| format!("{range}{} each", counted(most, "connection")))
}

/// A failed verification is among the warnings.
fn rows(run: &Run) -> Option<String> {
    let verification = run.verification.as_ref().filter(|verification| verification.holds())?;
    let (rows, good) = (verification.rows, verification.acknowledged);
    Some(if rows == good && good > 0 {
        "a row for each good answer".to_owned()
    } else {
        format!("{} for {}", counted(rows, "row"), counted(good, "good answer"))
    })
}

/// What the target used of the machine, beside the generator.
pub(super) fn used(view: &View<'_>) -> Option<String> {
    let used = view.summary.usage.as_ref()?;
    let (target_set, generator_set) = sets(used);
    let per_request = used.cpu_us_per_request.map(|us| format!(" ({} a request)", nanos(whole(us * 1e3))));
    let mut busy = vec![format!("target {:.2}{target_set}{}", used.cpus, per_request.unwrap_or_default())];
    busy.extend(used.front_cpus.map(|cpus| format!("front {cpus:.2}")));
    busy.extend(used.generator_cpus.map(|cpus| format!("generator {cpus:.2}{generator_set}")));
    busy.extend(
        used.shared_set.as_ref().filter(|_| !target_set.is_empty()).map(|cpus| format!("both on CPU {cpus}")),
    );
    let written = used.written_per_second.filter(|&written| written >= 1.0);
    let written =
        written.map(|written| format!(" and wrote {}/s", memory(whole(written)))).unwrap_or_default();
    let restarts = counted(used.restarts, "restart");
    let restarts = if used.restarts > 0 { format!("; {restarts} of its processes") } else { String::new() };
    let (cpus, busy, memory) = (used.machine_cpus, busy.join(", "), memory(used.rss_bytes));
    Some(format!("CPUs busy, of {cpus}: {busy}; the target had {memory}{written}{restarts}"))
}

/// On which CPUs the target and the generator ran, where they were told apart.
fn sets(used: &TargetUse) -> (String, String) {
    match (&used.target_set, &used.generator_set) {
        (Some(target), Some(generator)) if target != generator => {
            (format!(" on CPU {target}"), format!(" on CPU {generator}"))
        }
        _ => (String::new(), String::new()),
    }
}

/// Where the time went inside the target, as its instances tell.
pub(super) fn times(view: &View<'_>) -> Option<String> {
    let times = view.summary.target?;
    let parts =
        [("for a thread", times.queue), ("for the write lock", times.lock), ("to commit", times.commit)];
    let mut p99 = "p99 ";
    let part = |(name, spent): &(&str, Spent)| {
        let mean = nanos(whole(spent.mean_ns?));
        // What the number in brackets is, the first one says for all.
        let worst =
            spent.worst_p99_ns.map(|worst| format!(" ({}{})", std::mem::take(&mut p99), nanos(worst)));
        Some(format!("{mean} {name}{}", worst.unwrap_or_default()))
    };
    let mut parts: Vec<_> = parts.iter().filter_map(part).collect();
    let shared = times.rows_per_transaction.filter(|&rows| rows > 1.0);
    parts.extend(shared.map(|rows| format!("{rows:.1} rows per transaction")));
    let what = format!("mean in the target {}", nanos(whole(times.service.mean_ns?)));
    Some(if parts.is_empty() { what } else { format!("{what}: {}", parts.join(", ")) })
}

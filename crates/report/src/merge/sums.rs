//! What can simply be added up.

use std::cmp::Reverse;

use super::MergeError;
use crate::document::{
    Account, CheckRecord, Connections, FailureRecord, HeaderValues, Latencies, Named, Run, Series, Warmup,
};
use crate::histogram::{Distribution, Histogram};

/// The first run, with what can be added up being the sum of all, and without what is of its generator alone.
pub(super) fn total(runs: &[Run], offsets: &[u64]) -> Result<Run, MergeError> {
    let [first, others @ ..] = runs else { return Err(MergeError::Few) };
    let mut total = Run {
        latencies: latencies(runs)?,
        requests: requests(runs)?,
        series: Series::default(),
        generator: None,
        conditions: None,
        verification: None,
        assertions: Vec::new(),
        block: None,
        ..first.clone()
    };
    for (run, &offset) in others.iter().zip(offsets.iter().skip(1)) {
        account(&mut total.account, &run.account);
        for (status, count) in &run.status {
            *total.status.entry(*status).or_default() += count;
        }
        for (kind, record) in &run.failures {
            let later = FailureRecord {
                first_ns: record.first_ns + offset,
                last_ns: record.last_ns + offset,
                ..record.clone()
            };
            match total.failures.get_mut(kind) {
                Some(known) => known.merge(&later),
                None => _ = total.failures.insert(*kind, later),
            }
        }
        total.bytes.merge(&run.bytes);
        connections(&mut total.connections, &run.connections);
        total.workers.extend(run.workers.iter().cloned());
        total.redirects += run.redirects;
        total.warmup = warmup(total.warmup, run.warmup);
        run.checks.iter().for_each(|record| check(&mut total.checks, record, offset));
    }
    total.header_values = header_values(runs);
    Ok(total)
}

fn account(sum: &mut Account, other: &Account) {
    sum.scheduled += other.scheduled;
    sum.sent += other.sent;
    sum.unsent += other.unsent;
    sum.ok += other.ok;
    sum.http_error += other.http_error;
    sum.failed += other.failed;
    sum.timeout += other.timeout;
    sum.aborted += other.aborted;
    sum.answered_in_window += other.answered_in_window;
    sum.check_failed += other.check_failed;
}

fn connections(sum: &mut Connections, other: &Connections) {
    sum.slots += other.slots;
    sum.opened += other.opened;
    sum.reused += other.reused;
    sum.reopened += other.reopened;
    sum.never_answered += other.never_answered;
    sum.fewest_answers = sum.fewest_answers.min(other.fewest_answers);
    sum.most_answers = sum.most_answers.max(other.most_answers);
}

fn warmup(sum: Option<Warmup>, other: Option<Warmup>) -> Option<Warmup> {
    let (Some(sum), Some(other)) = (sum, other) else { return sum.or(other) };
    Some(Warmup {
        planned_ns: sum.planned_ns.max(other.planned_ns),
        // Where one was not cut short, it lasted as long as planned.
        lasted_ns: sum.lasted_ns.zip(other.lasted_ns).map(|(one, another)| one.max(another)),
        sent: sum.sent + other.sent,
        ok: sum.ok + other.ok,
    })
}

fn check(sums: &mut Vec<CheckRecord>, record: &CheckRecord, offset: u64) {
    let mut later = record.clone();
    later.examples.iter_mut().for_each(|example| example.at_ns += offset);
    match sums.iter_mut().find(|known| known.check == record.check) {
        Some(known) => known.merge(&later),
        None => sums.push(later),
    }
}

/// `None` where one of them did not look.
fn header_values(runs: &[Run]) -> Option<HeaderValues> {
    let mut all = runs.iter().map(|run| run.header_values.as_ref());
    let mut sum = all.next()??.clone();
    for other in all {
        let other = other.filter(|other| other.header == sum.header)?;
        for (value, count) in &other.values {
            *sum.values.entry(value.clone()).or_default() += count;
        }
        sum.none += other.none;
        sum.other += other.other;
    }
    let mut frequent: Vec<(String, u64)> = std::mem::take(&mut sum.values).into_iter().collect();
    frequent.sort_by_key(|(_, count)| Reverse(*count));
    sum.other += frequent.iter().skip(HeaderValues::LIMIT).map(|(_, count)| count).sum::<u64>();
    frequent.truncate(HeaderValues::LIMIT);
    sum.values = frequent.into_iter().collect();
    Some(sum)
}

fn latencies(runs: &[Run]) -> Result<Latencies, MergeError> {
    let sum = |of: fn(&Latencies) -> &Distribution| {
        joined(runs.iter().map(|run| (run.id.as_str(), of(&run.latencies))))
    };
    Ok(Latencies {
        answered: sum(|of| &of.answered)?,
        censored: sum(|of| &of.censored)?,
        failed: sum(|of| &of.failed)?,
        service: sum(|of| &of.service)?,
        connect: sum(|of| &of.connect)?,
        dns: sum(|of| &of.dns)?,
        write: sum(|of| &of.write)?,
        wait: sum(|of| &of.wait)?,
        read: sum(|of| &of.read)?,
        queue: sum(|of| &of.queue)?,
        lag: sum(|of| &of.lag)?,
    })
}

/// The requests of a mix, name by name: one plan has the same names in one order.
fn requests(runs: &[Run]) -> Result<Vec<Named>, MergeError> {
    let mut sums: Vec<Named> = Vec::new();
    for named in runs.iter().flat_map(|run| &run.requests) {
        match sums.iter_mut().find(|known| known.name == named.name) {
            Some(known) => known.merge_counts(named),
            None => sums.push(named.clone()),
        }
    }
    for sum in &mut sums {
        let name = sum.name.clone();
        let all = |of: fn(&Named) -> &Distribution| {
            let parts =
                runs.iter().flat_map(|run| run.requests.iter().map(move |named| (run.id.as_str(), named)));
            joined(parts.filter(|(_, named)| named.name == name).map(|(id, named)| (id, of(named))))
        };
        (sum.answered, sum.censored) = (all(|named| &named.answered)?, all(|named| &named.censored)?);
    }
    Ok(sums)
}

/// One distribution of several, each with the run it is of.
fn joined<'a>(all: impl Iterator<Item = (&'a str, &'a Distribution)>) -> Result<Distribution, MergeError> {
    let mut sum = Histogram::new();
    for (id, distribution) in all {
        let histogram =
            distribution.to_histogram().map_err(|error| MergeError::Histogram(id.to_owned(), error))?;
        sum.merge(&histogram);
    }
    Ok(sum.to_distribution())
}

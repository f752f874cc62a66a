//! What is known of a machine?

use std::collections::BTreeSet;
use std::fmt;

use crate::document::Document;
use crate::units::{counted, memory};

/// What the documents say of one machine. Prints as `2 CPUs, 4 GiB, about $4 a month`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MachineFacts {
    /// CPUs: of a measured machine, those that the generator was allowed to use.
    pub cpus: Option<u64>,
    /// Memory.
    pub memory_bytes: Option<u64>,
    /// Price per month, as a source says it.
    pub price_per_month: Option<String>,
    /// Model name of the processor.
    pub cpu_model: Option<String>,
    /// Kernel name and release.
    pub kernel: Option<String>,
    /// What documents under the same name say that cannot be said of this one: another machine, or this one changed. In words.
    pub others: BTreeSet<String>,
}

impl fmt::Display for MachineFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [cpus, memory, cpu_model, kernel] = self.measured();
        let price = self.price_per_month.as_ref().map(|price| format!("{price} a month"));
        let facts = [cpus, memory, price, cpu_model, kernel];
        let facts: Vec<String> = facts.into_iter().flatten().filter(|fact| !fact.is_empty()).collect();
        f.write_str(&facts.join(", "))?;
        self.others.iter().try_for_each(|other| write!(f, "; under the same name also {other}"))
    }
}

impl MachineFacts {
    pub(super) fn of(document: &Document) -> Self {
        let others = BTreeSet::new();
        match document {
            Document::Run(run) => Self {
                cpus: Some(run.machine.cpus_allowed),
                memory_bytes: Some(run.machine.memory_bytes),
                price_per_month: None,
                cpu_model: Some(run.machine.cpu_model.clone()),
                kernel: Some(run.machine.kernel.clone()),
                others,
            },
            Document::Figures(figures) => Self {
                cpus: figures.machine.cpus,
                memory_bytes: figures.machine.memory_bytes,
                price_per_month: figures.machine.price_per_month.clone(),
                cpu_model: None,
                kernel: None,
                others,
            },
        }
    }

    /// One page says the memory, another the price. What says otherwise is told beside it.
    pub(super) fn fill(&mut self, other: Self) {
        let is_otherwise = |(own, other): (Option<String>, Option<String>)| {
            own.zip(other).is_some_and(|(own, other)| own != other)
        };
        if self.measured().into_iter().zip(other.measured()).any(is_otherwise) {
            self.others.insert(other.to_string());
            return;
        }
        self.cpus = self.cpus.or(other.cpus);
        self.memory_bytes = self.memory_bytes.or(other.memory_bytes);
        self.price_per_month = self.price_per_month.take().or(other.price_per_month);
        self.cpu_model = self.cpu_model.take().or(other.cpu_model);
        self.kernel = self.kernel.take().or(other.kernel);
    }

    /// What makes it another machine, as a person reads it: a kernel may keep some bytes more for itself.
    fn measured(&self) -> [Option<String>; 4] {
        let cpus = self.cpus.map(|cpus| counted(cpus, "CPU"));
        [cpus, self.memory_bytes.map(memory), self.cpu_model.clone(), self.kernel.clone()]
    }
}

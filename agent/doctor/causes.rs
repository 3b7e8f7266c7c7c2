//! Known causes that keep an ECS agent out of its cluster, and the tables that name them. A line of a log is looked up in
//! these tables.

mod answers;
mod row;
mod starts;

pub use self::row::CauseKind;
pub(super) use self::row::Row;

/// The placeholder for the cluster in a text, which the cluster's name replaces.
pub(super) const CLUSTER: &str = "the cluster";

/// The row for a line that says only that there is an error.
pub(super) const OTHER: Row = Row {
    kind: CauseKind::Other,
    words: &[],
    what: "the ECS agent does not come up",
    remedy: "correct what this line names; the lines before it, in /var/log/ecs, say more",
};

/// Finds the cause that a line names. Particular causes are tried before general ones.
pub(super) fn named(line: &str) -> Option<&'static Row> {
    [answers::ALL, starts::ALL].into_iter().flatten().find(|row| row.is_of(line))
}

/// Finds the row of a line whose error may follow from another cause, which an earlier line names.
pub(super) fn consequence(line: &str) -> Option<&'static Row> {
    starts::CONSEQUENCES.iter().find(|row| row.is_of(line))
}

/// Returns the rows of all tables.
#[cfg(test)]
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    [answers::ALL, starts::ALL, starts::CONSEQUENCES].into_iter().flatten()
}

#[cfg(test)]
mod tests;

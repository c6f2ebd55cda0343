//! Which of the entities that are silent at once is the cause: those that talk to each other hang together, and the one with
//! the most of the others around it speaks for them. Knows nothing of pauses.

use std::collections::{BTreeMap, BTreeSet};

/// Entities that hang together, with the one that speaks for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) root: u32,
    pub(super) members: BTreeSet<u32>,
}

/// Parts the silent by who talks to whom. The root of a part is the one that most of it talks to or is called by; of several
/// the first by `rank`.
pub(super) fn parts<R: Ord>(
    silent: &BTreeSet<u32>,
    is_client: impl Fn(u32, u32) -> bool,
    rank: impl Fn(u32) -> R,
) -> Vec<Cause> {
    let all: Vec<u32> = silent.iter().copied().collect();
    let mut around: BTreeMap<u32, BTreeSet<u32>> = all.iter().map(|&entity| (entity, BTreeSet::new())).collect();
    for (place, &one) in all.iter().enumerate() {
        for &other in &all[place + 1..] {
            if is_client(one, other) || is_client(other, one) {
                around.entry(one).or_default().insert(other);
                around.entry(other).or_default().insert(one);
            }
        }
    }
    let mut left = silent.clone();
    let mut causes = Vec::new();
    while let Some(&first) = left.first() {
        let mut members = BTreeSet::from([first]);
        let mut waiting = vec![first];
        while let Some(entity) = waiting.pop() {
            waiting.extend(around[&entity].iter().copied().filter(|&other| members.insert(other)));
        }
        left.retain(|entity| !members.contains(entity));
        let root = members.iter().copied().min_by(|&one, &other| {
            let most = around[&other].len().cmp(&around[&one].len());
            most.then_with(|| rank(one).cmp(&rank(other)))
        });
        causes.extend(root.map(|root| Cause { root, members }));
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who is silent, who calls whom: roots with how many they speak for.
    fn check(silent: &[u32], calls: &[(u32, u32)], expected: &[(u32, usize)]) {
        let silent: BTreeSet<u32> = silent.iter().copied().collect();
        let causes = parts(&silent, |client, server| calls.contains(&(client, server)), |entity| entity);
        let found: Vec<(u32, usize)> = causes.iter().map(|cause| (cause.root, cause.members.len())).collect();
        assert_eq!(found, expected, "{silent:?}, {calls:?}");
    }

    #[test]
    fn the_middle_speaks_for_all_around() {
        check(&[], &[], &[]);
        check(&[4], &[(1, 4), (2, 4)], &[(4, 1)]);
        // A service and all its clients; a client and all it calls.
        check(&[1, 2, 3, 9], &[(1, 9), (2, 9), (3, 9)], &[(9, 4)]);
        check(&[1, 7, 8, 9], &[(1, 7), (1, 8), (1, 9)], &[(1, 4)]);
        check(&[1, 2], &[(1, 2)], &[(1, 2)]);
        // Through what is not silent nothing hangs together.
        check(&[1, 2, 3], &[(1, 9), (2, 9), (3, 9)], &[(1, 1), (2, 1), (3, 1)]);
        check(&[1, 2, 5, 6, 7], &[(1, 2), (5, 6), (6, 7)], &[(1, 2), (6, 3)]);
    }
}

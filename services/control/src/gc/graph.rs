//! The graph of one namespace: its things, and which of them keep which others.

use std::collections::{HashMap, HashSet};

use gantry_api::gc::{Node, Resource};

/// How far a thing is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    No,
    /// By a flat lease: itself only.
    Itself,
    /// The resource, with everything that it keeps.
    Deep,
}

#[derive(Debug, Default)]
struct Vertex {
    exists: bool,
    root: bool,
    flat: bool,
    keeps: Vec<usize>,
}

/// The graph. What is added twice is joined.
#[derive(Debug, Default)]
pub struct Graph {
    numbers: HashMap<Resource, usize>,
    vertices: Vec<Vertex>,
}

impl Graph {
    /// Adds a thing that exists.
    pub fn add(&mut self, node: Node) {
        let number = self.number(node.resource);
        for reference in node.references {
            let to = self.number(reference);
            self.vertices[number].keeps.push(to);
        }
        for keeper in node.kept_by {
            let from = self.number(keeper);
            self.vertices[from].keeps.push(number);
        }
        let vertex = &mut self.vertices[number];
        vertex.exists = true;
        vertex.root |= node.root;
        vertex.flat = node.flat;
    }

    fn number(&mut self, resource: Resource) -> usize {
        let next = self.vertices.len();
        let number = *self.numbers.entry(resource).or_insert(next);
        if number == next {
            self.vertices.push(Vertex::default());
        }
        number
    }

    /// Whether a thing was added.
    pub fn contains(&self, resource: &Resource) -> bool {
        self.numbers.get(resource).is_some_and(|number| self.vertices[*number].exists)
    }

    /// What exists and is reached neither from a root nor from `held`; and all that exists.
    pub fn unreached(&self, held: &HashSet<Resource>) -> (HashSet<Resource>, HashSet<Resource>) {
        let roots = (0..self.vertices.len())
            .filter(|number| self.vertices[*number].exists && self.vertices[*number].root);
        let reach =
            self.walk(roots.chain(held.iter().filter_map(|resource| self.numbers.get(resource).copied())));
        let existing = || self.numbers.iter().filter(|(_, number)| self.vertices[**number].exists);
        let unreached = existing()
            .filter(|(_, number)| reach[**number] == Reach::No)
            .map(|(resource, _)| resource.clone());
        (unreached.collect(), existing().map(|(resource, _)| resource.clone()).collect())
    }

    /// All that these keep, near and far; whether it exists or not.
    pub fn below(&self, start: &[Resource]) -> HashSet<Resource> {
        let reach = self.walk(start.iter().filter_map(|resource| self.numbers.get(resource).copied()));
        let reached = self.numbers.iter().filter(|(_, number)| reach[**number] != Reach::No);
        reached.map(|(resource, _)| resource.clone()).collect()
    }

    /// The doomed resources in the order in which they may be removed: a resource that keeps another one is in an
    /// earlier wave, so that if it is spared, it can spare what it keeps. Chains of snapshots share a wave, because
    /// their store never removes a parent before its child.
    pub fn waves(&self, doomed: &HashSet<Resource>) -> Vec<Vec<Resource>> {
        let members: HashMap<usize, &Resource> =
            doomed.iter().filter_map(|resource| Some((*self.numbers.get(resource)?, resource))).collect();
        let chained = |a: usize, b: usize| members[&a].kind == members[&b].kind && is_snapshot(members[&a]);
        let kept = |number: usize| {
            self.vertices[number].keeps.iter().copied().filter(|kept| members.contains_key(kept))
        };
        let mut keepers: HashMap<usize, usize> = members.keys().map(|number| (*number, 0)).collect();
        for number in members.keys() {
            for kept in kept(*number) {
                *keepers.get_mut(&kept).expect("a member") += 1;
            }
        }
        let mut wave_of: HashMap<usize, usize> = members.keys().map(|number| (*number, 0)).collect();
        let mut free: Vec<usize> =
            keepers.iter().filter(|(_, count)| **count == 0).map(|(number, _)| *number).collect();
        let mut last = 0;
        while let Some(number) = free.pop() {
            keepers.remove(&number);
            let wave = wave_of[&number];
            for kept in kept(number) {
                let later = if chained(number, kept) { wave } else { wave + 1 };
                let known = wave_of.get_mut(&kept).expect("a member");
                *known = later.max(*known);
                last = last.max(*known);
                if let Some(count) = keepers.get_mut(&kept) {
                    *count -= 1;
                    if *count == 0 {
                        free.push(kept);
                    }
                }
            }
        }
        // What is left keeps itself, round and round: it goes last.
        for number in keepers.into_keys() {
            wave_of.insert(number, last + 1);
        }
        let mut waves = vec![Vec::new(); last + 2];
        for (number, wave) in wave_of {
            waves[wave].push(members[&number].clone());
        }
        waves.retain(|wave| !wave.is_empty());
        waves
    }

    fn walk(&self, start: impl Iterator<Item = usize>) -> Vec<Reach> {
        let mut reach = vec![Reach::No; self.vertices.len()];
        let mut open: Vec<usize> = Vec::new();
        let arrive = |number: usize, how: Reach, reach: &mut Vec<Reach>, open: &mut Vec<usize>| {
            if how > reach[number] {
                reach[number] = how;
                if how == Reach::Deep {
                    open.push(number);
                }
            }
        };
        for number in start {
            arrive(number, Reach::Deep, &mut reach, &mut open);
        }
        while let Some(number) = open.pop() {
            let vertex = &self.vertices[number];
            let how = if vertex.flat { Reach::Itself } else { Reach::Deep };
            for kept in &vertex.keeps {
                arrive(*kept, how, &mut reach, &mut open);
            }
        }
        reach
    }
}

fn is_snapshot(resource: &Resource) -> bool {
    resource.kind.starts_with("snapshots/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keepers_go_before_what_they_keep() {
        let mut graph = Graph::default();
        for node in [
            node("index", &["manifest", "layer"]),
            node("manifest", &["layer"]),
            node("layer", &[]),
            node("x", &["y"]),
            node("y", &["x"]),
        ] {
            graph.add(node);
        }
        let doomed = ["index", "manifest", "layer", "x", "y"].map(of).into_iter().collect();
        let waves = graph.waves(&doomed);
        let mut keys: Vec<Vec<&str>> =
            waves.iter().map(|wave| wave.iter().map(|resource| resource.key.as_str()).collect()).collect();
        keys.iter_mut().for_each(|wave| wave.sort_unstable());
        assert_eq!(keys, [vec!["index"], vec!["manifest"], vec!["layer"], vec!["x", "y"]]);
        assert!(graph.waves(&HashSet::new()).is_empty());
    }

    fn of(key: &str) -> Resource {
        Resource::new("content", key)
    }

    fn node(key: &str, references: &[&str]) -> Node {
        let references = references.iter().map(|key| of(key)).collect();
        Node { resource: of(key), root: false, references, kept_by: Vec::new(), flat: false }
    }

    fn unreached(nodes: Vec<Node>, held: &[&str]) -> Vec<String> {
        let mut graph = Graph::default();
        nodes.into_iter().for_each(|node| graph.add(node));
        let held = held.iter().map(|key| of(key)).collect();
        let mut keys: Vec<String> =
            graph.unreached(&held).0.into_iter().map(|resource| resource.key).collect();
        keys.sort();
        keys
    }

    #[test]
    fn roots_and_holds_keep_all_below_them() {
        let root = |mut node: Node| {
            node.root = true;
            node
        };
        let nodes = || {
            vec![
                root(node("a", &["b"])),
                node("b", &["c"]),
                node("c", &["b", "missing"]),
                node("d", &["e"]),
                node("e", &[]),
            ]
        };
        assert_eq!(unreached(nodes(), &[]), ["d", "e"]);
        assert_eq!(unreached(nodes(), &["d", "unknown"]), [""; 0]);
    }

    #[test]
    fn a_flat_lease_keeps_only_what_it_names() {
        let lease = Node { root: true, flat: true, ..node("lease", &["a"]) };
        let nodes = vec![lease.clone(), node("a", &["b"]), node("b", &[])];
        assert_eq!(unreached(nodes, &[]), ["b"]);
        let other = Node { root: true, ..node("other", &["a"]) };
        assert_eq!(unreached(vec![lease, other, node("a", &["b"]), node("b", &[])], &[]), [""; 0]);
    }

    #[test]
    fn a_back_reference_keeps_its_holder() {
        let back = Node { kept_by: vec![of("a")], ..node("b", &[]) };
        let root = Node { root: true, ..node("a", &[]) };
        assert_eq!(unreached(vec![root, back.clone()], &[]), [""; 0]);
        assert_eq!(unreached(vec![node("a", &[]), back], &[]), ["a", "b"]);
    }
}

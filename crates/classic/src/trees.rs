//! Isolation trees (Liu, Ting and Zhou, 2008, algorithms 1 to 3): how they grow, and how deep a row falls.

use candle_core::{DType, Device, Tensor};
use flicker_core::rows::Rows;
use flicker_core::{Result, Rng, Weights};

/// A node that is no leaf sends a row to `left` if its `feature` is at most `threshold`, else to `left + 1`. A leaf has
/// `left` 0: the root is nobody's child.
#[derive(Clone, Copy, Default)]
struct Node {
    threshold: f32,
    feature: u32,
    left: u32,
}

/// A tree: its nodes, and for each leaf the path length h of a row that ends there.
#[derive(Default)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    paths: Vec<f32>,
}

/// c(n), equation 1: the mean path length of an unsuccessful search in a binary search tree of n rows.
pub(crate) fn mean_path(n: usize) -> f64 {
    /// Euler's constant.
    const GAMMA: f64 = 0.577_215_664_901_532_9;
    match n {
        0 | 1 => 0.0,
        2 => 1.0,
        _ => {
            let m = (n - 1) as f64;
            2.0 * (m.ln() + GAMMA) - 2.0 * m / n as f64
        }
    }
}

impl Tree {
    /// A tree of `rows`, cut at random until each row is alone or ⌈log₂ n⌉ cuts are made.
    pub(crate) fn grow(rows: &Rows, rng: &mut Rng) -> Self {
        let mut growth = Growth {
            rows,
            limit: rows.n.max(1).next_power_of_two().ilog2() as usize,
            features: (0..rows.features as u32).collect(),
            tree: Self::default(),
        };
        growth.tree.add();
        let mut members: Vec<u32> = (0..rows.n as u32).collect();
        growth.grow(0, &mut members, 0, rng);
        growth.tree
    }

    fn add(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.paths.push(0.0);
        self.nodes.len() - 1
    }

    /// h: the path length of `row`.
    pub(crate) fn path(&self, row: &[f32]) -> f32 {
        let mut at = 0;
        loop {
            let node = self.nodes[at];
            if node.left == 0 {
                return self.paths[at];
            }
            at = node.left as usize + usize::from(row[node.feature as usize] > node.threshold);
        }
    }
}

struct Growth<'a> {
    rows: &'a Rows,
    limit: usize,
    /// All features; their order is the state of a shuffle that goes on from node to node.
    features: Vec<u32>,
    tree: Tree,
}

impl Growth<'_> {
    fn grow(&mut self, node: usize, members: &mut [u32], depth: usize, rng: &mut Rng) {
        let cut = if depth < self.limit && members.len() > 1 { self.cut(members, rng) } else { None };
        let Some((feature, threshold)) = cut else {
            // A leaf of several rows stands for the tree that would have grown there.
            self.tree.paths[node] = depth as f32 + mean_path(members.len()) as f32;
            return;
        };
        let mut n_left = 0;
        for i in 0..members.len() {
            if self.value(members[i], feature) <= threshold {
                members.swap(i, n_left);
                n_left += 1;
            }
        }
        let (left, right) = members.split_at_mut(n_left);
        let child = self.tree.add();
        self.tree.add();
        self.tree.nodes[node] = Node { threshold, feature, left: child as u32 };
        self.grow(child, left, depth + 1, rng);
        self.grow(child + 1, right, depth + 1, rng);
    }

    /// A feature in which the members differ, and a place between their smallest and largest value, both uniform. The paper
    /// draws from all features; one in which all members are equal cuts nothing, and is drawn again.
    fn cut(&mut self, members: &[u32], rng: &mut Rng) -> Option<(u32, f32)> {
        for drawn in 0..self.features.len() {
            let other = drawn + rng.below(self.features.len() - drawn);
            self.features.swap(drawn, other);
            let feature = self.features[drawn];
            let values = members.iter().map(|&i| self.value(i, feature));
            let (low, high) =
                values.fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
            if low < high {
                let at = f64::from(low) + (f64::from(high) - f64::from(low)) * rng.uniform();
                // Rounded up to the largest value it would cut nothing.
                return Some((feature, if (at as f32) < high { at as f32 } else { low }));
            }
        }
        None
    }

    fn value(&self, row: u32, feature: u32) -> f32 {
        self.rows.values[row as usize * self.rows.features + feature as usize]
    }
}

/// Announces the tensors of a forest.
pub(crate) fn declare(weights: &Weights) {
    weights.declare("trees.features", &[None, None], DType::U32);
    weights.declare("trees.thresholds", &[None, None], DType::F32);
    weights.declare("trees.children", &[None, None], DType::U32);
    weights.declare("trees.paths", &[None, None], DType::F32);
}

/// Keeps `trees`, each filled up to the nodes of the largest.
pub(crate) fn keep(weights: &Weights, trees: &[Tree]) -> Result<()> {
    let width = trees.iter().map(|tree| tree.nodes.len()).max().unwrap_or(0);
    let dims = (trees.len(), width);
    let node = |i: usize| trees[i / width].nodes.get(i % width).copied().unwrap_or_default();
    let path = |i: usize| trees[i / width].paths.get(i % width).copied().unwrap_or_default();
    let all = 0..dims.0 * width;
    let integers = |values: Vec<u32>| Tensor::from_vec(values, dims, &Device::Cpu);
    let floats = |values: Vec<f32>| Tensor::from_vec(values, dims, &Device::Cpu);
    weights.set_fitted("trees.features", &integers(all.clone().map(|i| node(i).feature).collect())?)?;
    weights.set_fitted("trees.thresholds", &floats(all.clone().map(|i| node(i).threshold).collect())?)?;
    weights.set_fitted("trees.children", &integers(all.clone().map(|i| node(i).left).collect())?)?;
    weights.set_fitted("trees.paths", &floats(all.map(path).collect())?)
}

/// The trees that the weights hold, for rows of so many `features`. Trees of a file may be anything; those that would lead a
/// row outside are refused.
pub(crate) fn of(weights: &Weights, features: usize) -> Result<Vec<Tree>> {
    let integers = |name: &str| -> Result<Vec<Vec<u32>>> { Ok(weights.fitted(name)?.to_vec2()?) };
    let floats = |name: &str| -> Result<Vec<Vec<f32>>> { Ok(weights.fitted(name)?.to_vec2()?) };
    let (feature, left) = (integers("trees.features")?, integers("trees.children")?);
    let (threshold, paths) = (floats("trees.thresholds")?, floats("trees.paths")?);
    let mut trees = Vec::with_capacity(feature.len());
    for (t, paths) in paths.into_iter().enumerate() {
        let sizes = [feature.get(t).map(Vec::len), left.get(t).map(Vec::len), threshold.get(t).map(Vec::len)];
        let sound = |i: usize| {
            let (left, feature) = (left[t][i] as usize, feature[t][i] as usize);
            left == 0 || (left > i && left + 1 < paths.len() && feature < features)
        };
        if paths.is_empty() || sizes != [Some(paths.len()); 3] || !(0..paths.len()).all(sound) {
            let problem = format!("tree {t} is none: a node leads outside of it");
            return Err(flicker_core::Error::Weights { origin: "trees".into(), problem });
        }
        let node = |i: usize| Node { threshold: threshold[t][i], feature: feature[t][i], left: left[t][i] };
        trees.push(Tree { nodes: (0..paths.len()).map(node).collect(), paths });
    }
    Ok(trees)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_paths_are_those_of_the_paper() {
        assert_eq!((mean_path(1), mean_path(2)), (0.0, 1.0));
        // c(256) is 10.244…, which the paper's authors and scikit-learn use for ψ = 256.
        assert!((mean_path(256) - 10.244_770_9).abs() < 1e-6, "{}", mean_path(256));
    }

    #[test]
    fn every_row_of_a_tree_ends_in_a_leaf_within_the_limit() {
        let values = Rng::new(1).normals(100 * 3);
        let rows = Rows { n: 100, features: 3, values };
        let tree = Tree::grow(&rows, &mut Rng::new(2));
        let paths: Vec<f32> = rows.iter().map(|row| tree.path(row)).collect();
        // ⌈log₂ 100⌉ is 7, and a leaf there holds at most 93 rows.
        assert!(paths.iter().all(|&path| (1.0..=7.0 + mean_path(93) as f32).contains(&path)), "{paths:?}");
        let inner = tree.nodes.iter().filter(|node| node.left != 0).count();
        assert_eq!(tree.nodes.len(), 2 * inner + 1);
    }

    #[test]
    fn rows_that_do_not_differ_are_one_leaf() {
        let rows = Rows { n: 4, features: 2, values: vec![1.0; 8] };
        let tree = Tree::grow(&rows, &mut Rng::new(2));
        assert_eq!((tree.nodes.len(), tree.path(&[9.0, 9.0])), (1, mean_path(4) as f32));
    }
}

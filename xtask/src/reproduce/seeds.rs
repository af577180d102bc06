//! Which seeds an experiment is run with.

use anyhow::{Context, Result, bail};
use std::str::FromStr;

/// The seeds that the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seeds {
    /// The first so many of the experiment's own.
    First(usize),
    /// These.
    Listed(Vec<u64>),
}

impl Seeds {
    /// The seeds to run an experiment with whose own are `own`.
    pub(super) fn of(&self, own: &[u64]) -> Vec<u64> {
        match self {
            Self::First(n) => own.iter().copied().take(*n).collect(),
            Self::Listed(seeds) => seeds.clone(),
        }
    }
}

impl std::fmt::Display for Seeds {
    /// As it is read.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::First(n) => write!(f, "{n}"),
            Self::Listed(seeds) => seeds.iter().try_for_each(|seed| write!(f, "{seed},")),
        }
    }
}

impl FromStr for Seeds {
    type Err = anyhow::Error;

    /// `3`: the experiment's first three. `0..9`: 0 to 9, both included. `1,5,`: these two; the comma tells a seed from a
    /// number of seeds.
    fn from_str(text: &str) -> Result<Self> {
        let number = |text: &str| text.parse::<u64>().with_context(|| format!("`{text}` is no seed"));
        if let Some((first, last)) = text.split_once("..") {
            let (first, last) = (number(first)?, number(last.trim_start_matches('='))?);
            if first > last || last - first >= 10_000 {
                bail!("`{text}` is no range of seeds, such as 0..9");
            }
            return Ok(Self::Listed((first..=last).collect()));
        }
        if text.contains(',') {
            let seeds = text.split(',').filter(|seed| !seed.is_empty()).map(number);
            return Ok(Self::Listed(seeds.collect::<Result<_>>()?));
        }
        Ok(Self::First(usize::try_from(number(text)?)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_a_range_or_a_list() -> Result<()> {
        let of = |text: &str| -> Result<Vec<u64>> { Ok(text.parse::<Seeds>()?.of(&[4, 5, 6])) };
        assert_eq!(of("2")?, [4, 5]);
        assert_eq!(of("9")?, [4, 5, 6]);
        assert_eq!((of("0..3")?, of("3..3")?), (vec![0, 1, 2, 3], vec![3]));
        assert_eq!((of("7,")?, of("1,5")?), (vec![7], vec![1, 5]));
        for wrong in ["", "a", "3..1", "0..", "1,b", "-1", "0..99999999999"] {
            assert!(wrong.parse::<Seeds>().is_err(), "{wrong}");
        }
        for text in ["3", "0..2", "7,", "1,5"] {
            let seeds: Seeds = text.parse()?;
            assert_eq!(seeds.to_string().parse::<Seeds>()?, seeds);
        }
        Ok(())
    }
}

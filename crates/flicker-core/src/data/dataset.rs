//! A source with its classes.

use super::{Masks, Prepare, Scaler, Source};
use crate::{Error, Result, SampleShape};
use std::sync::Arc;

/// Which official part of its data set a sample belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The training part. Every sample of a data set without official parts is here.
    Train,
    /// The test part.
    Test,
}

/// A source whose samples have a class, and perhaps a mask. Who is normal is not its affair but the protocol's.
#[derive(Clone)]
pub struct Dataset {
    name: String,
    source: Arc<dyn Source>,
    labels: Vec<u32>,
    classes: Vec<String>,
    parts: Vec<Part>,
    masks: Option<Masks>,
    groups: Vec<u32>,
    columns: Vec<String>,
}

impl Dataset {
    /// A data set: the class of each sample as an index into `classes`, and its official part.
    ///
    /// # Errors
    /// If the lists differ in length from the source, a label is no index into `classes`, or two classes share a name.
    pub fn new(
        name: impl Into<String>,
        source: Arc<dyn Source>,
        labels: Vec<u32>,
        classes: Vec<String>,
        parts: Vec<Part>,
    ) -> Result<Self> {
        let name = name.into();
        let n = source.len();
        if labels.len() != n || parts.len() != n {
            let problem = format!("{n} samples, but {} labels and {} parts", labels.len(), parts.len());
            return Err(Error::data(name, problem));
        }
        if let Some(sample) = labels.iter().position(|&label| label as usize >= classes.len()) {
            let problem = format!(
                "label {} of sample {sample}, expected a label below {}",
                labels[sample],
                classes.len()
            );
            return Err(Error::data(name, problem));
        }
        if let Some(class) = classes.iter().enumerate().find(|(i, class)| classes[..*i].contains(class)) {
            return Err(Error::data(name, format!("two classes are named `{}`", class.1)));
        }
        Ok(Self {
            name,
            source,
            labels,
            classes,
            parts,
            masks: None,
            groups: Vec::new(),
            columns: Vec::new(),
        })
    }

    /// The same with masks: one image of one channel for each sample, 1 where it is abnormal and 0 elsewhere.
    ///
    /// # Errors
    /// If the samples are no images, or the masks differ from them in number or size.
    pub fn with_masks(self, masks: Arc<dyn Source>) -> Result<Self> {
        self.with_known_masks(Masks::all(masks))
    }

    /// As [`Dataset::with_masks`], where not every mask is known.
    ///
    /// # Errors
    /// As [`Dataset::with_masks`].
    pub fn with_known_masks(self, masks: Masks) -> Result<Self> {
        let expected = match self.source.shape() {
            SampleShape::Image { height, width, .. } => SampleShape::from((1, height, width)),
            table @ SampleShape::Table { .. } => {
                return Err(Error::data(self.name, format!("masks need images, the samples are a {table}")));
            }
        };
        let source = masks.source();
        if source.shape() != expected || source.len() != self.len() {
            return Err(Error::Shape {
                what: format!("masks of {}", self.name),
                expected: format!("{} of {expected}", self.len()),
                found: format!("{} of {}", source.len(), source.shape()),
            });
        }
        Ok(Self { masks: Some(masks), ..self })
    }

    /// The same with samples that belong together: slices of one block of a volume, images of one part or patient. Samples
    /// of one number stand on one side of a split, as twins do.
    ///
    /// # Errors
    /// If there is not one number for each sample.
    pub fn with_groups(self, groups: Vec<u32>) -> Result<Self> {
        if groups.len() != self.len() {
            let problem = format!("{} samples, but {} numbers of groups", self.len(), groups.len());
            return Err(Error::data(self.name, problem));
        }
        Ok(Self { groups, ..self })
    }

    /// The same with the names of a table's columns.
    ///
    /// # Errors
    /// If there is not one name for each feature.
    pub fn with_columns(self, columns: Vec<String>) -> Result<Self> {
        let elements = self.source.shape().elements();
        if columns.len() != elements {
            let problem = format!("{} column names for {elements} features", columns.len());
            return Err(Error::data(self.name, problem));
        }
        Ok(Self { columns, ..self })
    }

    /// The same samples, prepared, with their masks at the same size.
    ///
    /// # Errors
    /// As [`Prepare::apply`].
    pub fn prepared(&self, prepare: Prepare) -> Result<Self> {
        let masks = self.masks.as_ref().map(|masks| masks.resized(prepare.resize)).transpose()?;
        Ok(Self { source: Arc::new(prepare.apply(self.source.clone())?), masks, ..self.clone() })
    }

    /// The same rows, scaled.
    ///
    /// # Errors
    /// As [`Scaler::apply`].
    pub fn scaled(&self, scaler: &Scaler) -> Result<Self> {
        Ok(Self { source: Arc::new(scaler.apply(self.source.clone())?), ..self.clone() })
    }

    /// The same rows with their class as one more feature, the last: the leak of a published experiment, to be shown as what
    /// it is.
    ///
    /// # Errors
    /// If the samples are no rows of a table, or one cannot be read.
    pub fn with_label_as_feature(&self) -> Result<Self> {
        let SampleShape::Table { features } = self.shape() else {
            return Err(Error::data(
                &self.name,
                format!("labels join rows of a table, found a {}", self.shape()),
            ));
        };
        let all: Vec<usize> = (0..self.len()).collect();
        let rows = super::gather(self.source.as_ref(), &all)?;
        let labels = self.labels.iter().map(|&label| label as f32);
        let values =
            rows.chunks(features).zip(labels).flat_map(|(row, label)| row.iter().copied().chain([label]));
        let source = Arc::new(super::Samples::new(features + 1, values.collect())?);
        let mut columns = self.columns.clone();
        if !columns.is_empty() {
            columns.push("label".into());
        }
        Ok(Self { source, columns, ..self.clone() })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The samples.
    pub fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    /// The class of each sample, an index into [`Dataset::classes`].
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The official part of each sample.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The masks, where the data set has them.
    pub fn masks(&self) -> Option<&Masks> {
        self.masks.as_ref()
    }

    /// The group of each sample, none where each stands for itself.
    pub fn groups(&self) -> &[u32] {
        &self.groups
    }

    /// The names of a table's columns, none for images.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The shape of a sample.
    pub fn shape(&self) -> SampleShape {
        self.source.shape()
    }
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Dataset {{ {}: {} x {}, {} classes }}",
            self.name,
            self.len(),
            self.shape(),
            self.classes.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Images, Samples};
    use super::*;

    fn build(labels: Vec<u32>, classes: &[&str], n_parts: usize) -> Result<Dataset> {
        let source = Arc::new(Images::new((1, 2, 2), vec![0; 12], "")?);
        let classes = classes.iter().map(|&class| class.to_owned()).collect();
        Dataset::new("d", source, labels, classes, vec![Part::Train; n_parts])
    }

    #[test]
    fn lists_must_fit() {
        assert!(build(vec![0, 1, 0], &["a", "b"], 3).is_ok());
        for (wrong, said) in [
            (build(vec![0, 1], &["a", "b"], 3), "3 samples, but 2 labels and 3 parts"),
            (build(vec![0, 1, 0], &["a", "b"], 4), "3 samples, but 3 labels and 4 parts"),
            (build(vec![0, 2, 0], &["a", "b"], 3), "label 2 of sample 1, expected a label below 2"),
            (build(vec![0, 1, 0], &["a", "a"], 3), "two classes are named `a`"),
        ] {
            assert_eq!(wrong.unwrap_err().to_string(), format!("d: {said}"));
        }
    }

    #[test]
    fn a_label_joins_its_row() -> Result<()> {
        let rows = Arc::new(Samples::new(2, vec![1.0, 2.0, 3.0, 4.0])?);
        let classes = vec!["a".to_owned(), "b".into()];
        let table = Dataset::new("t", rows, vec![0, 1], classes, vec![Part::Train; 2])?
            .with_columns(vec!["x".into(), "y".into()])?
            .with_label_as_feature()?;
        let rows = Samples::collect(table.source().as_ref())?;
        assert_eq!((rows.get(0), rows.get(1)), (Some(&[1.0, 2.0, 0.0][..]), Some(&[3.0, 4.0, 1.0][..])));
        assert_eq!(table.columns(), ["x", "y", "label"]);
        assert!(build(vec![0; 3], &["a"], 3)?.with_label_as_feature().is_err());
        Ok(())
    }

    #[test]
    fn masks_and_columns_must_fit() -> Result<()> {
        let digits = build(vec![0; 3], &["a"], 3)?;
        assert!(digits.clone().with_groups(vec![0; 2]).is_err());
        assert!(digits.clone().with_masks(Arc::new(Images::new((1, 2, 2), vec![0; 12], "")?)).is_ok());
        assert!(digits.clone().with_masks(Arc::new(Images::new((1, 2, 2), vec![0; 8], "")?)).is_err());
        assert!(digits.with_masks(Arc::new(Images::new((1, 2, 1), vec![0; 6], "")?)).is_err());
        let rows = Arc::new(Samples::new(2, vec![0.0; 6])?);
        let table = Dataset::new("t", rows.clone(), vec![0; 3], vec!["a".into()], vec![Part::Train; 3])?;
        assert!(table.clone().with_masks(rows).is_err());
        assert!(table.clone().with_columns(vec!["x".into()]).is_err());
        assert_eq!(table.with_columns(vec!["x".into(), "y".into()])?.columns(), ["x", "y"]);
        Ok(())
    }
}

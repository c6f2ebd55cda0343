//! What is said of findings: table `controls`, which is both the record of it and where detection takes it from.

use crate::error::{CommitError, QueryError};
use crate::lake::Lake;
use crate::rows::{Cell, text_values};
use arrow::array::{Array as _, ArrayRef, AsArray as _};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use tradewind_model::table::CONTROLS;
use tradewind_model::{ControlAction, ControlOrigin, RecordedControl, Scope};

/// What table `controls` held at one version.
#[derive(Clone, Debug, Default)]
pub struct Controls {
    /// The version of the table; none where there is no table yet.
    pub version: Option<u64>,
    /// All rows, in the order in which they were said.
    pub rows: Vec<RecordedControl>,
}

impl Lake {
    /// Appends what is said of findings, in one commit.
    ///
    /// # Errors
    /// The lake cannot be written.
    pub async fn append_controls(&self, controls: &[RecordedControl]) -> Result<(), CommitError> {
        self.append_rows(&CONTROLS, controls.iter().map(row).collect()).await
    }

    /// All that was said of findings.
    ///
    /// # Errors
    /// The lake cannot be read, or holds what this version does not know.
    pub async fn controls(&self) -> Result<Controls, QueryError> {
        Ok(self.controls_after(None).await?.unwrap_or_default())
    }

    /// The same; none where the table still is at this version. Costs a look at the log of this small table alone.
    ///
    /// # Errors
    /// As [`Lake::controls`].
    pub async fn controls_after(&self, version: Option<u64>) -> Result<Option<Controls>, QueryError> {
        if self.tables().await?.iter().all(|table| table.name != CONTROLS.name) {
            return Ok(version.is_none().then(Controls::default));
        }
        let opened = self.table(&CONTROLS).await?;
        let found = opened.version();
        if version.is_some() && found == version {
            return Ok(None);
        }
        let mut rows = Vec::new();
        for batch in self.scan_by(&CONTROLS, &opened, "recorded_time, control_id").await? {
            read(&batch, &mut rows).map_err(|error| QueryError::Run(Box::new(error.into())))?;
        }
        Ok(Some(Controls { version: found, rows }))
    }
}

fn row(control: &RecordedControl) -> Vec<Cell> {
    let text = |text: &Option<String>| Cell::from(text.as_deref());
    vec![
        control.control_id.as_str().into(),
        control.recorded_time.into(),
        control.time.into(),
        control.action.as_str().into(),
        text(&control.finding_id),
        text(&control.name),
        text(&control.scope.entity),
        text(&control.scope.destination),
        control.scope.port.map(i64::from).into(),
        text(&control.scope.behaviour),
        control.until.into(),
        control.author.as_str().into(),
        text(&control.reason),
        control.origin.as_str().into(),
    ]
}

fn read(batch: &RecordBatch, rows: &mut Vec<RecordedControl>) -> Result<(), ArrowError> {
    let column = |name: &str| {
        batch.column_by_name(name).ok_or_else(|| ArrowError::SchemaError(format!("column {name} is missing")))
    };
    let text = |name: &str| text_values(column(name)?);
    let number = |name: &str| cast(column(name)?, &DataType::Int64);
    let (ids, actions, finding_ids, names) = (text("control_id")?, text("action")?, text("finding_id")?, text("name")?);
    let (entities, destinations, behaviours) = (text("entity")?, text("destination")?, text("behaviour")?);
    let (authors, reasons, origins) = (text("author")?, text("reason")?, text("origin")?);
    let (recorded, times, untils, ports) =
        (number("recorded_time")?, number("time")?, number("until")?, number("port")?);
    let unknown = |word: Option<&str>| {
        ArrowError::ParseError(format!("`{}` is not known in table controls", word.unwrap_or_default()))
    };
    for place in 0..batch.num_rows() {
        let number = |column: &ArrayRef| {
            let column = column.as_primitive::<Int64Type>();
            column.is_valid(place).then(|| column.value(place))
        };
        let action = actions[place].as_deref().and_then(ControlAction::from_word);
        let origin = origins[place].as_deref().and_then(ControlOrigin::from_word);
        rows.push(RecordedControl {
            control_id: ids[place].clone().unwrap_or_default(),
            recorded_time: number(&recorded).unwrap_or_default(),
            time: number(&times).unwrap_or_default(),
            action: action.ok_or_else(|| unknown(actions[place].as_deref()))?,
            finding_id: finding_ids[place].clone(),
            name: names[place].clone(),
            scope: Scope {
                entity: entities[place].clone(),
                destination: destinations[place].clone(),
                port: number(&ports).and_then(|port| u16::try_from(port).ok()),
                behaviour: behaviours[place].clone(),
            },
            until: number(&untils),
            author: authors[place].clone().unwrap_or_default(),
            reason: reasons[place].clone(),
            origin: origin.ok_or_else(|| unknown(origins[place].as_deref()))?,
        });
    }
    Ok(())
}

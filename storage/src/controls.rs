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
    /// All rows that can be read, in the order in which they were said.
    pub rows: Vec<RecordedControl>,
    /// Rows that say what this version does not know, or what cannot be. They are left out: a row that somebody else wrote must
    /// not keep all others from being heard.
    pub unreadable: usize,
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
    /// The lake cannot be read, or the table lacks a column.
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
        let (mut rows, mut unreadable) = (Vec::new(), 0);
        for batch in self.scan_by(&CONTROLS, &opened, "recorded_time, control_id").await? {
            unreadable += read(&batch, &mut rows).map_err(|error| QueryError::Run(Box::new(error.into())))?;
        }
        Ok(Some(Controls { version: found, rows, unreadable }))
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

/// Adds the rows of a batch. How many of them cannot be read.
fn read(batch: &RecordBatch, rows: &mut Vec<RecordedControl>) -> Result<usize, ArrowError> {
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
    let mut unreadable = 0;
    for place in 0..batch.num_rows() {
        let number = |column: &ArrayRef| {
            let column = column.as_primitive::<Int64Type>();
            column.is_valid(place).then(|| column.value(place))
        };
        let action = actions[place].as_deref().and_then(ControlAction::from_word);
        let origin = origins[place].as_deref().and_then(ControlOrigin::from_word);
        // A port that is none must not become any port.
        let port = number(&ports).map(u16::try_from).transpose();
        let (Some(action), Some(origin), Ok(port)) = (action, origin, port) else {
            unreadable += 1;
            continue;
        };
        rows.push(RecordedControl {
            control_id: ids[place].clone().unwrap_or_default(),
            recorded_time: number(&recorded).unwrap_or_default(),
            time: number(&times).unwrap_or_default(),
            action,
            finding_id: finding_ids[place].clone(),
            name: names[place].clone(),
            scope: Scope {
                entity: entities[place].clone(),
                destination: destinations[place].clone(),
                port,
                behaviour: behaviours[place].clone(),
            },
            until: number(&untils),
            author: authors[place].clone().unwrap_or_default(),
            reason: reasons[place].clone(),
            origin,
        });
    }
    Ok(unreadable)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::rows::partitioned;

    /// A row with one cell that is another; whether it is read.
    fn check(column: &str, cell: Cell, is_read: bool) {
        let said = RecordedControl {
            control_id: "a".to_owned(),
            recorded_time: 1,
            time: 1,
            action: ControlAction::Suppress,
            finding_id: None,
            name: Some("known".to_owned()),
            scope: Scope { port: Some(443), ..Scope::default() },
            until: Some(9),
            author: String::new(),
            reason: None,
            origin: ControlOrigin::Command,
        };
        let mut cells = row(&said);
        let place = CONTROLS.fields.iter().position(|field| field.name == column).unwrap();
        cells[place] = cell.clone();
        let (_, batch) = partitioned(&CONTROLS, vec![cells, row(&said)]).unwrap().swap_remove(0);
        let mut rows = Vec::new();
        let unreadable = read(&batch, &mut rows).unwrap();
        assert_eq!((rows.len(), unreadable), if is_read { (2, 0) } else { (1, 1) }, "{column} {cell:?}");
        assert_eq!(rows.last(), Some(&said));
    }

    #[test]
    fn a_row_that_cannot_be_read_is_left_out_alone() {
        check("action", "revoke".into(), true);
        check("action", "forgive".into(), false);
        check("origin", "oracle".into(), false);
        check("port", 0.into(), true);
        check("port", Cell::Null, true);
        check("port", 65_536.into(), false);
        check("port", (-1).into(), false);
        check("until", Cell::Null, true);
    }
}

//! The CSV notation of an inventory. Not a reader for CSV at large: a field does not span lines here, so that a fault has
//! one line.

use super::{Inventory, InventoryEntity, InventoryError, Problem, RawTenure, kind, tenure};

const COLUMNS: [&str; 8] = ["address", "entity", "kind", "namespace", "network", "valid_from", "valid_to", "instance"];

pub(super) fn read(text: &str, name: &str) -> Result<Inventory, InventoryError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let at = |line: usize| move |problem| InventoryError::Line { name: name.to_owned(), line, problem };
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let (number, line) = lines.next().ok_or(Problem::NoHeader).map_err(at(text.lines().count().max(1)))?;
    let header = Header::read(line).map_err(at(number))?;
    let mut inventory = Inventory::default();
    for (number, line) in lines {
        add(&mut inventory, &header, line, number).map_err(at(number))?;
    }
    Ok(inventory)
}

/// Which field of a line each column is.
struct Header {
    places: [Option<usize>; COLUMNS.len()],
    fields: usize,
}

impl Header {
    fn read(line: &str) -> Result<Self, Problem> {
        let names = split(line)?;
        let mut places = [None; COLUMNS.len()];
        for (place, column) in names.iter().enumerate() {
            let Some(known) = COLUMNS.iter().position(|known| known == column) else {
                return Err(Problem::UnknownColumn { column: column.clone() });
            };
            if places[known].replace(place).is_some() {
                return Err(Problem::DuplicateColumn { column: column.clone() });
            }
        }
        let header = Self { places, fields: names.len() };
        for required in ["address", "entity"] {
            header.place(required).ok_or(Problem::Missing { field: required })?;
        }
        Ok(header)
    }

    fn place(&self, column: &str) -> Option<usize> {
        COLUMNS.iter().position(|known| *known == column).and_then(|known| self.places[known])
    }
}

fn add(inventory: &mut Inventory, header: &Header, line: &str, number: usize) -> Result<(), Problem> {
    let fields = split(line)?;
    if fields.len() != header.fields {
        return Err(Problem::FieldCount { found: fields.len(), expected: header.fields });
    }
    let field = |column: &str| header.place(column).map(|place| fields[place].as_str()).filter(|text| !text.is_empty());
    let required = |column: &'static str| field(column).ok_or(Problem::Missing { field: column });
    let (address, name) = (required("address")?, required("entity")?);
    let entity = inventory.add_entity(InventoryEntity {
        name: name.to_owned(),
        kind: kind(field("kind"))?,
        namespace: field("namespace").map(str::to_owned),
        network: field("network").map(str::to_owned),
        instance: field("instance").map(str::to_owned),
    });
    let tenure = tenure(RawTenure { from: field("valid_from"), to: field("valid_to") }, entity)?;
    inventory.add_address(address, tenure, &format!("line {number}"))
}

/// The fields of one line (RFC 4180 section 2). White space around a field that is not quoted does not count.
fn split(line: &str) -> Result<Vec<String>, Problem> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (field, after) = match rest.trim_start().strip_prefix('"') {
            Some(quoted) => split_quoted(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].trim().to_owned(), &rest[end..])
            }
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => return Ok(fields),
        }
    }
}

/// The field after its opening quote, and what follows: nothing, or a comma and more.
fn split_quoted(mut rest: &str) -> Result<(String, &str), Problem> {
    let mut field = String::new();
    loop {
        let end = rest.find('"').ok_or(Problem::Quote)?;
        field.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(escaped) => {
                field.push('"');
                rest = escaped;
            }
            None => break,
        }
    }
    let after = rest.trim_start();
    if after.is_empty() || after.starts_with(',') { Ok((field, after)) } else { Err(Problem::Quote) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_split_into_fields() {
        for (line, expected) in [
            ("a,b", Ok(vec!["a", "b"])),
            (" a , b ", Ok(vec!["a", "b"])),
            ("a,", Ok(vec!["a", ""])),
            ("", Ok(vec![""])),
            (",,", Ok(vec!["", "", ""])),
            (r#""a,b",c"#, Ok(vec!["a,b", "c"])),
            (r#""say ""x""" , c"#, Ok(vec![r#"say "x""#, "c"])),
            (r#""",c"#, Ok(vec!["", "c"])),
            (r#"a "b",c"#, Ok(vec![r#"a "b""#, "c"])),
            (r#""a"#, Err(Problem::Quote)),
            (r#""a"b,c"#, Err(Problem::Quote)),
        ] {
            let expected = expected.map(|fields| fields.into_iter().map(str::to_owned).collect());
            assert_eq!(split(line), expected, "{line}");
        }
    }
}

//! Names of log groups and streams, with variables.

use serde::Deserialize;

use super::is_word;

/// A name in which `${stack}` and its like are filled in when the plan is made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct NameTemplate(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Variable(Variable),
}

/// What a [`NameTemplate`] can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// `${stack}`: the name of the stack of `signal.stack`.
    Stack,
    /// `${resource}`: `signal.resource`.
    Resource,
    /// `${region}`: the region of the instance.
    Region,
    /// `${account}`: the id of the AWS account.
    Account,
    /// `${cluster}`: the name of the cluster of `ecs.cluster`.
    Cluster,
}

impl Variable {
    const ALL: [(&str, Variable); 5] = [
        ("stack", Variable::Stack),
        ("resource", Variable::Resource),
        ("region", Variable::Region),
        ("account", Variable::Account),
        ("cluster", Variable::Cluster),
    ];
}

impl TryFrom<String> for NameTemplate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut segments = Vec::new();
        let mut rest = text.as_str();
        while let Some((literal, tail)) = rest.split_once("${") {
            segments.push(Segment::Literal(literal.to_owned()));
            let (name, tail) = tail.split_once('}').ok_or_else(|| format!("`{text}` has `${{` without `}}`"))?;
            let variable = Variable::ALL.iter().find(|(known, _)| *known == name).ok_or_else(|| {
                format!("there is no variable `${{{name}}}`\nthere are ${{stack}}, ${{resource}}, ${{region}}, ${{account}} and ${{cluster}}; in a template's Fn::Sub write them as ${{!stack}}")
            })?;
            segments.push(Segment::Variable(variable.1));
            rest = tail;
        }
        segments.push(Segment::Literal(rest.to_owned()));
        let literals_are_right = segments.iter().all(|segment| match segment {
            Segment::Literal(literal) => is_word(literal, "-_/.#{}"),
            Segment::Variable(_) => true,
        });
        // CloudWatch Logs: log group names have 1 to 512 characters of these; braces are the log agent's placeholders.
        match literals_are_right && (1..=512).contains(&text.len()) {
            true => Ok(NameTemplate(segments)),
            false => Err(format!(
                "`{text}` is not a name that CloudWatch Logs allows\n1 to 512 letters, digits and - _ / . # {{ }}, and ${{stack}}, ${{resource}}, ${{region}}, ${{account}}, ${{cluster}}"
            )),
        }
    }
}

impl NameTemplate {
    /// The variables that it names.
    pub fn variables(&self) -> impl Iterator<Item = Variable> {
        self.0.iter().filter_map(|segment| match segment {
            Segment::Variable(variable) => Some(*variable),
            Segment::Literal(_) => None,
        })
    }

    /// The name with its variables filled in.
    pub fn expand(&self, value: impl Fn(Variable) -> String) -> String {
        self.0
            .iter()
            .map(|segment| match segment {
                Segment::Literal(literal) => literal.clone(),
                Segment::Variable(variable) => value(*variable),
            })
            .collect()
    }
}

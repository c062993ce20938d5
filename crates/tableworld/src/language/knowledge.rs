//! What things are called and what they are good for: the tables of `words/`.

use std::sync::LazyLock;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::frames::{Frames, Wording};
use crate::catalogue::Category;
use crate::Split;

/// What a category is called, and what is known about it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noun {
    #[serde(rename = "name", deserialize_with = "category")]
    pub category: Category,
    /// With its article: "an orange", "a pair of scissors".
    pub a: String,
    pub plural: String,
    /// The plural after a number, where it is another: "pairs of scissors".
    counted: Option<String>,
    /// Other names for it.
    #[serde(default)]
    pub also: Vec<String>,
    /// Categories that it may be confused with, because of the distance or its shape; the confusion goes both ways.
    #[serde(deserialize_with = "categories")]
    pub neighbours: Vec<Category>,
    /// Questions and answers that hold in every scene.
    pub facts: Vec<(String, String)>,
}

impl Noun {
    pub fn name(&self) -> &'static str {
        self.category.name()
    }

    /// The plural after a number.
    pub fn counted(&self) -> &str {
        self.counted.as_ref().unwrap_or(&self.plural)
    }

    /// Whether one of it takes a plural verb: "the scissors are".
    pub fn is_plural(&self) -> bool {
        self.name().ends_with('s')
    }
}

/// A purpose or a property, and which things have it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// Each of these is a right answer.
    #[serde(deserialize_with = "categories")]
    pub answers: Vec<Category>,
    /// Each of these might pass for an answer, so the question is not asked if one of them is in the scene.
    #[serde(default, deserialize_with = "categories")]
    pub unless: Vec<Category>,
    /// Whether it is a fact about the world, and no use.
    #[serde(default)]
    pub world: bool,
    /// The explanation, `{x}` for the name.
    pub because: String,
    train: Vec<Wording>,
    val: Vec<Wording>,
    test: Vec<Wording>,
}

impl Intent {
    /// How a question about it is put in a split, one or more.
    pub fn wordings(&self, split: Split) -> &[Wording] {
        match split {
            Split::Train => &self.train,
            Split::Val => &self.val,
            Split::Test => &self.test,
        }
    }
}

/// What several things have in common.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    #[serde(deserialize_with = "categories")]
    pub members: Vec<Category>,
    /// Each of these might pass for a member, so the question is not asked if one of them is in the scene.
    #[serde(default, deserialize_with = "categories")]
    pub doubtful: Vec<Category>,
    pub because: String,
    /// The answer where none of its members is there.
    pub none: String,
    train: Vec<String>,
    val: Vec<String>,
    test: Vec<String>,
}

impl Group {
    /// Noun phrases for it, one or more.
    pub fn phrases(&self, split: Split) -> &[String] {
        match split {
            Split::Train => &self.train,
            Split::Val => &self.val,
            Split::Test => &self.test,
        }
    }
}

/// Everything that is known.
#[derive(Debug)]
pub struct Knowledge {
    /// One for each category, in the order of [`Category::ALL`].
    nouns: Vec<Noun>,
    pub intents: Vec<Intent>,
    pub groups: Vec<Group>,
    pub frames: Frames,
}

impl Knowledge {
    pub fn noun(&self, category: Category) -> &Noun {
        &self.nouns[category.index()]
    }

    fn parse() -> Result<Self, toml::de::Error> {
        let (mut nouns, mut intents) = (Vec::new(), Vec::new());
        for table in [
            include_str!("words/food.toml"),
            include_str!("words/kitchen.toml"),
            include_str!("words/tools.toml"),
            include_str!("words/electronics.toml"),
            include_str!("words/home.toml"),
        ] {
            let table: Table = toml::from_str(table)?;
            nouns.extend(table.category);
            intents.extend(table.intent);
        }
        nouns.sort_by_key(|noun: &Noun| noun.category.index());
        let order: Vec<_> = nouns.iter().map(|noun| noun.category).collect();
        if order != Category::ALL {
            return Err(toml::de::Error::custom("not one noun for each category"));
        }
        let Groups { group } = toml::from_str(include_str!("words/groups.toml"))?;
        Ok(Self {
            nouns,
            intents,
            groups: group,
            frames: toml::from_str(include_str!("words/frames.toml"))?,
        })
    }
}

/// The tables, parsed once. They are part of the program; the tests parse them, so a broken one never leaves here.
pub fn knowledge() -> &'static Knowledge {
    static KNOWLEDGE: LazyLock<Knowledge> = LazyLock::new(|| match Knowledge::parse() {
        Ok(knowledge) => knowledge,
        Err(error) => panic!("the tables in crates/tableworld/src/language/words: {error}"),
    });
    &KNOWLEDGE
}

/// "the mug", "the mugs".
pub fn the(category: Category, count: usize) -> String {
    match count {
        1 => format!("the {}", category.name()),
        _ => format!("the {}", knowledge().noun(category).plural),
    }
}

/// "an orange or a lemon".
pub fn either(categories: &[Category]) -> String {
    let names: Vec<_> = categories
        .iter()
        .map(|c| knowledge().noun(*c).a.as_str())
        .collect();
    names.join(" or ")
}

/// "There is no orange or lemon in this image."
pub fn there_is_no(categories: &[Category]) -> String {
    let names: Vec<_> = categories.iter().map(|c| c.name()).collect();
    let is = match categories {
        [one, ..] if knowledge().noun(*one).is_plural() => "are",
        _ => "is",
    };
    format!("There {is} no {} in this image.", names.join(" or "))
}

/// "There is no red mug in this image.", of a noun phrase that asks for a category.
pub fn there_is_none_such(phrase: &str, category: Category) -> String {
    let is = match knowledge().noun(category).is_plural() {
        true => "are",
        false => "is",
    };
    let bare = phrase.strip_prefix("the ").unwrap_or(phrase);
    format!("There {is} no {bare} in this image.")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    category: Vec<Noun>,
    intent: Vec<Intent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Groups {
    group: Vec<Group>,
}

fn parse<E: Error>(name: &str) -> Result<Category, E> {
    Category::parse(name).ok_or_else(|| E::custom(format!("{name} is no category")))
}

fn category<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Category, D::Error> {
    parse(&String::deserialize(deserializer)?)
}

fn categories<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Category>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    names.iter().map(|name| parse(name)).collect()
}

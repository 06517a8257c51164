//! A module that tells which of its code runs.

use anyhow::{Result, anyhow};
use walrus::ir::{Call, Const, Instr, InstrSeqId, Value, Visitor, dfs_in_order};
use walrus::{Module, ModuleConfig, ValType};

/// The import that is told of each part that begins.
pub(super) const TOLD: (&str, &str) = ("footprint", "begins");

/// Instructions that follow one another without a block between them.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// The number of the function, among those that have a body.
    pub function: usize,
    /// How many there are.
    pub instructions: u64,
}

/// A module with a call before each part.
pub(super) struct Instrumented {
    pub wasm: Vec<u8>,
    /// By the numbers that the import is told.
    pub parts: Vec<Part>,
    /// The functions' names, where the module has them, and their instructions.
    pub functions: Vec<(String, u64)>,
}

#[derive(Default)]
struct Sequences(Vec<InstrSeqId>);

impl<'i> Visitor<'i> for Sequences {
    fn start_instr_seq(&mut self, sequence: &'i walrus::ir::InstrSeq) {
        self.0.push(sequence.id());
    }
}

/// # Errors
/// When it is no module.
pub(super) fn instrument(wasm: &[u8]) -> Result<Instrumented> {
    let mut config = ModuleConfig::new();
    config.generate_name_section(false);
    let mut module = config.parse(wasm).map_err(|error| anyhow!("{error}"))?;
    let told = module.types.add(&[ValType::I32], &[]);
    let (told, _) = module.add_import_func(TOLD.0, TOLD.1, told);
    let mut parts = Vec::new();
    let mut functions = Vec::new();
    for (_, function) in module.funcs.iter_local_mut() {
        let mut sequences = Sequences::default();
        dfs_in_order(&mut sequences, function, function.entry_block());
        let mut total = 0;
        for id in sequences.0 {
            let block = function.block_mut(id);
            let instructions = block.instrs.len() as u64;
            total += instructions;
            if instructions == 0 {
                continue;
            }
            let number = Const {
                value: Value::I32(i32::try_from(parts.len())?),
            };
            let call = Call { func: told };
            for instruction in [Instr::from(call), Instr::from(number)] {
                block.instrs.insert(0, (instruction, Default::default()));
            }
            parts.push(Part {
                function: functions.len(),
                instructions,
            });
        }
        functions.push((function_name(&functions), total));
    }
    let names: Vec<Option<String>> = module
        .funcs
        .iter_local()
        .map(|(id, _)| module.funcs.get(id).name.clone())
        .collect();
    for ((name, _), known) in functions.iter_mut().zip(names) {
        if let Some(known) = known {
            *name = format!("{:#}", rustc_demangle::demangle(&known));
        }
    }
    Ok(Instrumented {
        wasm: emit(module),
        parts,
        functions,
    })
}

fn function_name(before: &[(String, u64)]) -> String {
    format!("function {}", before.len())
}

fn emit(mut module: Module) -> Vec<u8> {
    module.emit_wasm()
}

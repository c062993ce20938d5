//! Products and attention in the shapes of SAM ViT-B and CLIP ViT-L: `cargo bench -p cpu_kernels`.

use cpu_kernels::{
    attention, linear, Activation, Bias, BlockFormat, DecomposedBias, Epilogue, Heads, Packed,
    Sizes, Source,
};
use divan::counter::ItemsCount;

fn main() {
    divan::main();
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count)
        .map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0)
        .collect()
}

/// Rows, depth, columns. The count is that of multiplications with an addition.
#[divan::bench(sample_count = 10, args = [(4096, 768, 3072), (4096, 3072, 768), (257, 1024, 4096), (305, 1024, 2816), (1, 1024, 2816)])]
fn layer(bencher: divan::Bencher<'_, '_>, (rows, depth, columns): (usize, usize, usize)) {
    let x = numbers(rows * depth);
    let packed = Packed::transposed(Source::F32(&numbers(columns * depth)), columns, depth);
    let bias = numbers(columns);
    let epilogue = Epilogue {
        bias: Some(&bias),
        activation: Activation::Gelu,
        ..Epilogue::default()
    };
    bencher
        .counter(ItemsCount::new(rows * depth * columns))
        .bench(|| linear(&x, &packed, &epilogue));
}

/// Rows, depth, columns of the products whose weights are stored in fewer bits.
const SMALLER: [(usize, usize, usize); 4] = [
    (4096, 768, 3072),
    (305, 1024, 2816),
    (1, 1024, 2816),
    (1, 4096, 11008),
];

fn smaller(bencher: divan::Bencher<'_, '_>, shape: (usize, usize, usize), source: Source<'_>) {
    let (rows, depth, columns) = shape;
    let x = numbers(rows * depth);
    let packed = Packed::transposed(source, columns, depth);
    bencher
        .counter(ItemsCount::new(rows * depth * columns))
        .bench(|| linear(&x, &packed, &Epilogue::default()));
}

/// Blocks of zeros, which take as long as any others.
fn quantized(bencher: divan::Bencher<'_, '_>, shape: (usize, usize, usize), format: BlockFormat) {
    let (_, depth, columns) = shape;
    let bytes = vec![0; depth * columns / format.numbers() * format.bytes()];
    smaller(bencher, shape, Source::Blocks(format, &bytes));
}

#[divan::bench(sample_count = 10, args = SMALLER)]
fn layer_in_f32(bencher: divan::Bencher<'_, '_>, shape: (usize, usize, usize)) {
    let weight = numbers(shape.1 * shape.2);
    smaller(bencher, shape, Source::F32(&weight));
}

#[divan::bench(sample_count = 10, args = SMALLER)]
fn layer_in_f16(bencher: divan::Bencher<'_, '_>, shape: (usize, usize, usize)) {
    let weight: Vec<_> = numbers(shape.1 * shape.2)
        .into_iter()
        .map(half::f16::from_f32)
        .collect();
    smaller(bencher, shape, Source::F16(&weight));
}

#[divan::bench(sample_count = 10, args = SMALLER)]
fn layer_in_bf16(bencher: divan::Bencher<'_, '_>, shape: (usize, usize, usize)) {
    let weight: Vec<_> = numbers(shape.1 * shape.2)
        .into_iter()
        .map(half::bf16::from_f32)
        .collect();
    smaller(bencher, shape, Source::Bf16(&weight));
}

#[divan::bench(sample_count = 10, args = SMALLER)]
fn layer_in_q8_0(bencher: divan::Bencher<'_, '_>, shape: (usize, usize, usize)) {
    quantized(bencher, shape, BlockFormat::Q8_0);
}

#[divan::bench(sample_count = 10, args = SMALLER)]
fn layer_in_q4_1(bencher: divan::Bencher<'_, '_>, shape: (usize, usize, usize)) {
    quantized(bencher, shape, BlockFormat::Q4_1);
}

#[divan::bench(sample_count = 10, args = SMALLER)]
fn layer_in_q4_k(bencher: divan::Bencher<'_, '_>, shape: (usize, usize, usize)) {
    quantized(bencher, shape, BlockFormat::Q4K);
}

/// Windows and side of each: a global layer and a windowed one.
#[divan::bench(sample_count = 10, args = [(1, 64), (25, 14)])]
fn grid(bencher: divan::Bencher<'_, '_>, (batch, side): (usize, usize)) {
    let (heads, head_dim) = (12, 64);
    let (patches, width) = (side * side, 3 * heads * head_dim);
    let data = numbers(batch * patches * width);
    let table = numbers(patches * head_dim);
    let bias = DecomposedBias::new(&table, &table, side, head_dim);
    let part = |i: usize| Heads {
        data: &data[i * heads * head_dim..],
        batch_stride: patches * width,
        head_stride: head_dim,
        stride: width,
    };
    let sizes = Sizes {
        batch,
        heads,
        kv_heads: heads,
        queries: patches,
        keys: patches,
        head_dim,
    };
    let qkv = (part(0), part(1), part(2));
    bencher
        .counter(ItemsCount::new(
            2 * batch * heads * patches * patches * head_dim,
        ))
        .bench(|| attention(qkv, sizes, 0.125, Bias::Decomposed(&bias), &|| false));
}

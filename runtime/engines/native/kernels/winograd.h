// 3x3 convolutions of stride 1 in tiles of 2x2 results: 16 products per channel pair instead of 36; or of 4x4: 36 instead
// of 144 (Lavin & Gray 2016, F(2x2, 3x3) and F(4x4, 3x3)). A dilated one is that convolution on each of its interleaved
// grids.
#pragma once
#include "conv.h"

constexpr int64_t APART = 32;  // elements

struct Tile {
    int64_t image, y, x;  // of its first result
};

// Every grid gets as many tiles as the largest; what falls outside the map is not written.
struct Tiling {
    int64_t size, down, across, grids_y, grids_x;
    explicit Tiling(const Op& op)
        : size(op.option), down(ceil_div(ceil_div(op.out.h, op.dilation[0]), size)),
          across(ceil_div(ceil_div(op.out.w, op.dilation[1]), size)), grids_y(op.dilation[0]), grids_x(op.dilation[1]) {}
    int64_t count(const Op& op) const { return op.out.n * down * across * grids_y * grids_x; }
    Tile tile(int64_t i) const {
        int64_t x = i % across, y = i / across % down, grid = i / across / down;
        int64_t gx = grid % grids_x, gy = grid / grids_x % grids_y;
        return {grid / grids_x / grids_y, gy + y * size * grids_y, gx + x * size * grids_x};
    }
};

inline Vec plus(Vec a, Vec b) { return _mm512_add_ps(a, b); }
inline Vec minus(Vec a, Vec b) { return _mm512_sub_ps(a, b); }
inline Vec plus(Vec a, float factor, Vec b) { return _mm512_fmadd_ps(splat(factor), b, a); }

// The transforms along one axis, by results of a tile. `pack.py` has those of the weights.
template <int M>
struct Transform;

template <>
struct Transform<2> {
    static inline __attribute__((always_inline)) void input(Vec (&d)[4]) {
        const Vec a = d[0], b = d[1], c = d[2], e = d[3];
        d[0] = minus(a, c);
        d[1] = plus(b, c);
        d[2] = minus(c, b);
        d[3] = minus(b, e);
    }
    static inline __attribute__((always_inline)) void output(const Vec (&m)[4], Vec (&y)[2]) {
        y[0] = plus(plus(m[0], m[1]), m[2]);
        y[1] = minus(minus(m[1], m[2]), m[3]);
    }
};

// At the points 0, 3/4, -3/4, 5/4, -5/4 and infinity, which lose less to rounding than 0, 1, -1, 2, -2.
template <>
struct Transform<4> {
    static constexpr float A = 0.75f, B = 1.25f, AA = A * A, BB = B * B;

    static inline __attribute__((always_inline)) void input(Vec (&d)[6]) {
        const Vec even_a = plus(d[4], -BB, d[2]), odd_a = plus(d[3], -BB, d[1]);
        const Vec even_b = plus(d[4], -AA, d[2]), odd_b = plus(d[3], -AA, d[1]);
        d[0] = plus(plus(d[4], -(AA + BB), d[2]), AA * BB, d[0]);
        d[5] = plus(plus(d[5], -(AA + BB), d[3]), AA * BB, d[1]);
        d[1] = plus(even_a, A, odd_a);
        d[2] = plus(even_a, -A, odd_a);
        d[3] = plus(even_b, B, odd_b);
        d[4] = plus(even_b, -B, odd_b);
    }
    static inline __attribute__((always_inline)) void output(const Vec (&m)[6], Vec (&y)[4]) {
        const Vec even_a = plus(m[1], m[2]), odd_a = minus(m[1], m[2]), even_b = plus(m[3], m[4]), odd_b = minus(m[3], m[4]);
        y[0] = plus(plus(m[0], even_a), even_b);
        y[1] = plus(_mm512_mul_ps(splat(A), odd_a), B, odd_b);
        y[2] = plus(_mm512_mul_ps(splat(AA), even_a), BB, even_b);
        y[3] = plus(plus(m[5], A * AA, odd_a), B * BB, odd_b);
    }
};

template <class T, int M>
struct Winograd {
    static constexpr int N = M + 2, POSITIONS = N * N;
    const Op& op;
    const T *in, *weights, *residual;
    T *out, *transformed;
    const float *bias, *slopes;
    float* products;
    int64_t tiles, lines_wide, panel_wide, position_wide, product_wide;

    Winograd(const Op& op, const Bound& at, Scratch& scratch, int64_t tiles)
        : op(op), in(at.at<T>(op.in)), weights(at.at<T>(op.weights)),
          residual(op.second.n ? at.at<T>(op.second) : nullptr), out(at.at<T>(op.out)), transformed((T*)scratch.packed),
          bias(at.at<float>(op.bias)), slopes(at.slopes(op)), tiles(tiles), panel_wide(op.vectors * LANES) {
        lines_wide = op.run * panel_wide;
        // apart by more than whole pages, or the positions would compete for the same lines of the cache
        position_wide = tiles * op.run + APART;
        product_wide = tiles * panel_wide + APART;
        products = (float*)(scratch.packed + (POSITIONS * position_wide * sizeof(T) + 63) / 64 * 64);
    }

    // Which of a tile's positions, a step apart, fall inside an axis.
    static uint32_t inside(int64_t first, int64_t step, int64_t size) {
        uint32_t found = 0;
        for (int i = 0; i < N; i++) found |= uint32_t(first + i * step >= 0 && first + i * step < size) << i;
        return found;
    }

    void read(const Tile& tile, int64_t t) {
        const int64_t y = tile.y - op.padding[0], x = tile.x - op.padding[1];
        const T* origin = in + tile.image * op.in.image + y * op.in.row + x * op.in.pixel;
        const uint32_t rows = inside(y, op.dilation[0], op.in.h), columns = inside(x, op.dilation[1], op.in.w);
        constexpr uint32_t ALL = (1u << N) - 1;
        if (rows == ALL && columns == ALL) read_tile<true>(origin, t, rows, columns);
        else read_tile<false>(origin, t, rows, columns);
    }

    template <bool WHOLE>
    void read_tile(const T* origin, int64_t t, uint32_t rows, uint32_t columns) {
        const int64_t row = op.dilation[0] * op.in.row, column = op.dilation[1] * op.in.pixel;
        for (int64_t c = 0; c < op.run; c += LANES) {
            const __mmask16 mask = first_lanes(op.run - c);
            Vec d[N][N];  // by column, then row
#pragma GCC unroll 6
            for (int j = 0; j < N; j++) {
#pragma GCC unroll 6
                for (int i = 0; i < N; i++) {
                    const bool here = WHOLE || (rows >> i & columns >> j & 1);
                    d[j][i] = here ? load(origin + i * row + j * column + c, mask) : _mm512_setzero_ps();
                }
                Transform<M>::input(d[j]);
            }
            T* target = transformed + t * op.run + c;
#pragma GCC unroll 6
            for (int i = 0; i < N; i++) {
                Vec line[N];
#pragma GCC unroll 6
                for (int j = 0; j < N; j++) line[j] = d[j][i];
                Transform<M>::input(line);
#pragma GCC unroll 6
                for (int j = 0; j < N; j++) store(target + (i * N + j) * position_wide, line[j], mask);
            }
        }
    }

    void multiply_panel(int64_t panel) {
        static constexpr float none[3 * LANES] = {};
        const int64_t zero = 0, most = Kernels<T>::most(op.vectors), blocks = ceil_div(tiles, most);
        for (int64_t position = 0; position < POSITIONS; position++) {
            const T* w = weights + (panel * POSITIONS + position) * lines_wide;
            const Walk walk{1, &zero, &zero, op.run, op.run};
            for (int64_t b = 0; b < blocks; b++) {
                const int64_t first = tiles * b / blocks, last = tiles * (b + 1) / blocks;
                End<T> end{products + position * product_wide + first * panel_wide, none};
                Kernels<T>::get(op.vectors, last - first)(transformed + position * position_wide + first * op.run, walk,
                                                          w, end);
            }
        }
    }

    template <int64_t FIRST, bool RESIDUAL, int64_t LAST>
    void write(const Tile& tile, int64_t t, int64_t panel) {
        for (int64_t v = 0; v < op.vectors; v++) {
            const int64_t c = panel * panel_wide + v * LANES;
            if (c >= op.out.c) return;
            const __mmask16 mask = first_lanes(op.out.c - c);
            Vec half[N][M];  // by column, then row
#pragma GCC unroll 6
            for (int j = 0; j < N; j++) {
                Vec m[N];
#pragma GCC unroll 6
                for (int i = 0; i < N; i++) m[i] = load(products + (i * N + j) * product_wide + t * panel_wide + v * LANES);
                Transform<M>::output(m, half[j]);
            }
            const Vec shift = load(bias + c);
#pragma GCC unroll 4
            for (int i = 0; i < M; i++) {
                const int64_t y = tile.y + i * op.dilation[0];
                if (y >= op.out.h) break;
                Vec line[N], made[M];
#pragma GCC unroll 6
                for (int j = 0; j < N; j++) line[j] = half[j][i];
                Transform<M>::output(line, made);
                for (int j = 0; j < M; j++) {
                    const int64_t x = tile.x + j * op.dilation[1];
                    if (x >= op.out.w) break;
                    Vec r = apply<FIRST>(plus(made[j], shift), op.activation, slopes, c);
                    if constexpr (RESIDUAL) {
                        const Map& m = op.second;
                        r = plus(r, load(residual + tile.image * m.image + y * m.row + x * m.pixel + c, mask));
                        r = apply<LAST>(r, op.last_activation, slopes, c);
                    }
                    store(out + tile.image * op.out.image + y * op.out.row + x * op.out.pixel + c, r, mask);
                }
            }
        }
    }

    template <int64_t FIRST, bool RESIDUAL, int64_t LAST>
    void run(const Tiling& tiling, int64_t first, int64_t first_panel, int64_t last_panel) {
        for (int64_t t = 0; t < tiles; t++) read(tiling.tile(first + t), t);
        for (int64_t panel = first_panel; panel < last_panel; panel++) {
            multiply_panel(panel);
            for (int64_t t = 0; t < tiles; t++) write<FIRST, RESIDUAL, LAST>(tiling.tile(first + t), t, panel);
        }
    }
};

inline int64_t winograd_pieces(const Op& op) {
    return ceil_div(Tiling(op).count(op), op.columns) * ceil_div(op.panels, op.panel_span);
}

template <class T, int M>
void winograd_tiles(const Op& op, const Bound& at, Scratch& scratch, int64_t piece) {
    const Tiling tiling(op);
    const int64_t blocks = ceil_div(tiling.count(op), op.columns), first = piece % blocks * op.columns;
    const int64_t panel = piece / blocks * op.panel_span, last = std::min(panel + op.panel_span, op.panels);
    Winograd<T, M> work(op, at, scratch, std::min(op.columns, tiling.count(op) - first));
    with_activation(op.activation, [&](auto before) {
        if (!op.second.n) return work.template run<before.value, false, NONE>(tiling, first, panel, last);
        with_activation(op.last_activation, [&](auto after) {
            work.template run<before.value, true, after.value>(tiling, first, panel, last);
        });
    });
}

// option: results of a tile along an axis. In bfloat16 the larger tiles would lose too much to rounding.
template <class T>
void winograd_piece(const Op& op, const Bound& at, Scratch& scratch, int64_t piece) {
    if constexpr (std::is_same_v<T, float>)
        if (op.option == 4) return winograd_tiles<T, 4>(op, at, scratch, piece);
    winograd_tiles<T, 2>(op, at, scratch, piece);
}

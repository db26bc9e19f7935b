// The library: runs a list of steps on a pool of threads.
#include <memory>

#include "strips.h"
#include "threads.h"
#include "winograd.h"

namespace {

constexpr int64_t LOCAL = 3;  // the slot of each thread's own memory

template <class T>
struct Step_ {
    int64_t (*pieces)(const Op&);
    void (*work)(const Op&, const Bound&, Scratch&, int64_t);
};

int64_t one_per_image(const Op& op) { return op.out.n; }
int64_t one_per_panel(const Op& op) { return op.in.n * op.groups * op.panels; }
int64_t sums_pieces(const Op& op) { return op.in.n * op.pieces; }

template <class T, Rows<T> ROWS>
constexpr Step_<T> BY_ROWS = {row_pieces, row_piece<T, ROWS>};

template <class T>
constexpr Step_<T> STEPS[KINDS] = {
    {conv_pieces, conv_piece<T>},
    {winograd_pieces, winograd_piece<T>},
    BY_ROWS<T, depthwise_rows<T>>,
    BY_ROWS<T, binary_rows<T>>,
    BY_ROWS<T, affine_rows<T>>,
    BY_ROWS<T, pool_rows<T>>,
    {sums_pieces, sums_piece<T>},
    {one_per_image, mean_piece<T>},
    {one_per_panel, scale_weights_piece<T>},
    BY_ROWS<T, resize_rows<T>>,
    BY_ROWS<T, nearest_rows<T>>,
    BY_ROWS<T, planar_resize_rows<T>>,
    BY_ROWS<T, guided_rows<T>>,
    {strips_pieces, strips_piece<T>},
};

// One pool for all models: calls from several threads take turns, as they would for the cores.
struct Shared {
    std::mutex turn;
    std::unique_ptr<Pool> pool;
    pid_t owner = 0;

    Pool& of(int threads) {
        if (owner != getpid()) {
            (void)pool.release();  // its threads did not survive the fork
            owner = getpid();
        }
        if (!pool || pool->count != threads) pool = std::make_unique<Pool>(threads);
        return *pool;
    }
};

// Never destroyed: at exit its threads may be gone already.
Shared& shared() {
    static Shared* all = new Shared;
    return *all;
}

struct Runner {
    int threads;
    int64_t count;
    std::unique_ptr<Share[]> shares;
    std::vector<std::unique_ptr<Scratch>> scratch;
    std::vector<std::unique_ptr<Scratch>> local;  // what steps of a strip hand to each other
    Barrier barrier;

    Runner(int64_t steps, int threads, int64_t bytes, int64_t local_bytes)
        : threads(threads), count(steps), shares(new Share[steps * threads]) {
        for (int i = 0; i < threads; i++) {
            scratch.push_back(std::make_unique<Scratch>(bytes));
            local.push_back(std::make_unique<Scratch>(local_bytes));
        }
    }

    template <class T>
    void run(const Op* ops, char* const* given, int64_t slot_count, int me) {
        std::vector<char*> slots(given, given + slot_count);
        slots[LOCAL] = local[me]->packed;
        const Bound at{slots.data()};
        for (int64_t i = 0; i < count; i += ops[i].kind == STRIPS ? 1 + ops[i].panels : 1) {
            const Step_<T>& step = STEPS<T>[ops[i].kind];
            share_out(&shares[i * threads], threads, me, step.pieces(ops[i]),
                      [&](int64_t piece) { step.work(ops[i], at, *scratch[me], piece); });
            barrier.wait(threads);
        }
    }
};

}  // namespace

extern "C" {

int64_t archdsl_op_size() { return sizeof(Op); }

Runner* archdsl_runner(int64_t steps, int threads, int64_t scratch, int64_t local) {
    try {
        return new Runner(steps, threads, scratch, local);
    } catch (const std::exception&) {
        return nullptr;
    }
}

void archdsl_free(Runner* runner) { delete runner; }

// Runs every step in order. A runner is for one call at a time; other runners wait.
void archdsl_run(Runner* runner, const Op* ops, char* const* slots, int64_t slot_count, int half) {
    Shared& all = shared();
    std::lock_guard<std::mutex> hold(all.turn);
    for (int64_t i = 0; i < runner->count * runner->threads; i++) runner->shares[i].next.store(0);
    all.of(runner->threads).run([&](int me) {
#ifdef __AVX512BF16__
        if (half) return runner->run<bf16>(ops, slots, slot_count, me);
#endif
        runner->run<float>(ops, slots, slot_count, me);
    });
}
}

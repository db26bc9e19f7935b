// Threads that stay, and wait for the next piece of work spinning, then asleep.
#pragma once
#include <immintrin.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

constexpr int SPINS = 20000;  // about 200 µs: longer than the gap between steps, shorter than between images

// Between steps every thread waits for all others.
class Barrier {
    std::atomic<int> waiting{0}, round{0};

  public:
    void wait(int count) {
        if (count == 1) return;
        int mine = round.load(std::memory_order_acquire);
        if (waiting.fetch_add(1, std::memory_order_acq_rel) == count - 1) {
            waiting.store(0, std::memory_order_relaxed);
            round.store(mine + 1, std::memory_order_release);
            return;
        }
        for (int spins = 0; round.load(std::memory_order_acquire) == mine; spins++) {
            if (spins < SPINS) _mm_pause();
            else std::this_thread::yield();
        }
    }
};

class Pool {
    std::vector<std::thread> workers;
    std::mutex lock;
    std::condition_variable wake;
    std::atomic<int64_t> job{0};
    std::atomic<int> running{0};
    std::function<void(int)> task;
    bool stop = false;

    void serve(int index) {
        for (int64_t done = 0;;) {
            for (int spins = 0; job.load(std::memory_order_acquire) == done && spins < SPINS; spins++) _mm_pause();
            if (job.load(std::memory_order_acquire) == done) {
                std::unique_lock<std::mutex> hold(lock);
                wake.wait(hold, [&] { return job.load() != done || stop; });
            }
            if (stop) return;
            done++;
            task(index);
            running.fetch_sub(1, std::memory_order_acq_rel);
        }
    }

  public:
    const int count;

    explicit Pool(int threads) : count(threads) {
        for (int i = 1; i < threads; i++) workers.emplace_back(&Pool::serve, this, i);
    }
    ~Pool() {
        {
            std::lock_guard<std::mutex> hold(lock);
            stop = true;
            job++;
        }
        wake.notify_all();
        for (auto& worker : workers) worker.join();
    }
    // Runs the task once on each thread, this one being number 0, and returns when all are done.
    void run(std::function<void(int)> what) {
        if (count > 1) {
            task = std::move(what);
            running.store(count - 1);
            {
                std::lock_guard<std::mutex> hold(lock);
                job.fetch_add(1, std::memory_order_release);
            }
            wake.notify_all();
            task(0);
            for (int spins = 0; running.load(std::memory_order_acquire) > 0; spins++) {
                if (spins < SPINS) _mm_pause();
                else std::this_thread::yield();
            }
        } else {
            what(0);
        }
    }
};

// The pieces of one step: each thread works through its own share, so that data stay in its cache, then helps others.
struct alignas(64) Share {
    std::atomic<int64_t> next{0};
};

template <class F>
inline void share_out(Share* shares, int threads, int me, int64_t pieces, F work) {
    for (int other = 0; other < threads; other++) {
        int whose = (me + other) % threads;
        int64_t start = pieces * whose / threads, end = pieces * (whose + 1) / threads;
        for (int64_t i; (i = start + shares[whose].next.fetch_add(1, std::memory_order_relaxed)) < end;) work(i);
    }
}

// Where a call finds its data, and the memory that each thread has for itself.
#pragma once
#include <cstdlib>
#include <new>

#include "ops.h"

struct Bound {
    char* const* slots;

    template <class T>
    T* at(const Address& address) const {
        return (T*)(slots[address.slot] + address.offset);
    }
    const float* slopes(const Op& op) const { return op.slopes.slot ? at<float>(op.slopes) : nullptr; }
    template <class T>
    T* at(const Map& map) const {
        return at<T>(map.at);
    }
};

struct Scratch {
    static constexpr int64_t SUMS = 28 * 16 * sizeof(float) * 2;
    char* packed;
    float* sums;

    explicit Scratch(int64_t bytes) {
        sums = (float*)aligned_alloc(64, SUMS + (bytes + 63) / 64 * 64);
        if (!sums) throw std::bad_alloc();
        packed = (char*)sums + SUMS;
    }
    Scratch(const Scratch&) = delete;
    ~Scratch() { free(sums); }
};

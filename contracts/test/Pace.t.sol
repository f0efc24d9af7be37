// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMarket} from "../src/interfaces/IMarket.sol";
import {Pace} from "../src/libraries/Pace.sol";
import {Round, Settlement} from "../src/types/Round.sol";
import {PaceState, TaskConfig, TaskId, TaskState} from "../src/types/Task.sol";
import {MarketFixture} from "./utils/MarketFixture.sol";

/// @notice The learning rate and the early end, both from proven integers alone.
contract PaceTest is MarketFixture {
    uint64 private constant RATE = 1001;

    function norm(bytes calldata gram, uint256 slots, uint256 acceptBits)
        external
        pure
        returns (uint80, uint8)
    {
        return Pace.norm(gram, slots, acceptBits);
    }

    // -------------------------------------------------------------- the norm

    /// @dev Against vectors whose sum is squared directly.
    function testFuzz_normIsTheSquaredSum(uint256 slots, uint256 acceptBits, uint256 seed) public view {
        slots = bound(slots, 3, 32);
        acceptBits = bound(acceptBits, 0, (1 << slots) - 1);
        int256[3][] memory u = new int256[3][](slots);
        int256[3] memory sum;
        uint256 accepted;
        for (uint256 i = 0; i < slots; ++i) {
            for (uint256 d = 0; d < 3; ++d) {
                u[i][d] = int256(uint256(keccak256(abi.encode(seed, i, d))) % 65_536) - 32_768;
                if ((acceptBits >> i) & 1 == 1) sum[d] += u[i][d];
            }
            accepted += (acceptBits >> i) & 1;
        }
        (uint80 found, uint8 count) = this.norm(packed(_gram(u)), slots, acceptBits);
        assertEq(found, uint256(sum[0] * sum[0] + sum[1] * sum[1] + sum[2] * sum[2]), "norm");
        assertEq(count, accepted, "count");
    }

    function test_normOfTheLargestEntriesFits() public view {
        int64[] memory gram = new int64[](528);
        for (uint256 i = 0; i < gram.length; ++i) {
            gram[i] = 2 ** 62 - 1;
        }
        (uint80 found,) = this.norm(packed(gram), 32, type(uint32).max);
        assertEq(found, uint256(1024) * (2 ** 62 - 1), "norm");
    }

    function test_whatNoGramMatrixHasCountsAsZero() public view {
        int64[] memory gram = new int64[](6);
        gram[1] = -5;
        (uint80 found,) = this.norm(packed(gram), 3, 3);
        assertEq(found, 0, "norm");
    }

    // -------------------------------------------------------------- the rule

    function test_halvesAfterPatienceStaleRounds() public pure {
        PaceState memory pace;
        pace = Pace.next(pace, 2, 400, 2); // 100
        assertEq(pace.bestNorm, 400, "best");
        pace = Pace.next(pace, 2, 900, 3); // 100: not below
        assertEq(pace.stale, 1, "stale");
        pace = Pace.next(pace, 2, 0, 0); // nobody accepted
        assertEq(pace.halvings, 1, "halved");
        assertEq(pace.stale, 0, "counts again");
        pace = Pace.next(pace, 2, 899, 3); // just below
        assertEq(pace.bestNorm, 899, "new best");
        assertEq(pace.bestCount, 3, "new best's count");
    }

    function test_progressEndsStaleness() public pure {
        PaceState memory pace;
        uint80[5] memory norms = [uint80(100), 100, 99, 99, 98];
        for (uint256 i = 0; i < norms.length; ++i) {
            pace = Pace.next(pace, 2, norms[i], 1);
        }
        assertEq(pace.halvings, 0, "halved");
    }

    function test_halvingsStopAtZero() public pure {
        PaceState memory pace;
        for (uint256 i = 0; i < 70; ++i) {
            pace = Pace.next(pace, 1, 0, 0);
        }
        assertEq(pace.halvings, 64, "halvings");
    }

    // ------------------------------------------------------------ the target

    function test_targetIsInclusiveAndNeedsSomebody() public pure {
        assertTrue(Pace.isMet(25, 100, 2), "at the target");
        assertTrue(!Pace.isMet(25, 101, 2), "over the target");
        assertTrue(!Pace.isMet(25, 0, 0), "nobody");
        assertTrue(!Pace.isMet(0, 0, 2), "no target");
    }

    function test_targetClosesTheTaskEarly() public {
        TaskConfig memory config = defaultConfig();
        config.targetNorm = 25;
        TaskId taskId = open(config, 2);
        commit(taskId, 0, 2);
        settle(taskId, 0, _withNorm(0, 101));
        assertEq(uint256(market.taskOf(taskId).state), uint256(TaskState.Open), "closed too early");
        commit(taskId, 1, 2);
        vm.expectEmit(address(market));
        emit IMarket.TaskClosed(taskId, REWARD * (ROUNDS - 2), BOND);
        settle(taskId, 1, _withNorm(1, 100));
        assertEq(uint256(market.taskOf(taskId).state), uint256(TaskState.Closed), "open");
        assertEq(credit(taskId, trainer(0)), REWARD, "both rounds are paid");
        assertEq(uint256(market.roundOf(taskId, Round.wrap(1)).state), 3, "settled");
    }

    function test_contractRecordsTheLearningRate() public {
        TaskConfig memory config = defaultConfig();
        (config.learningRate, config.patience) = (RATE, 1);
        TaskId taskId = open(config, 2);
        uint256[3] memory norms = [uint256(100), 100, 99];
        uint256[3] memory halvings = [uint256(0), 1, 1];
        for (uint256 round = 0; round < ROUNDS; ++round) {
            commit(taskId, round, 2);
            settle(taskId, round, _withNorm(round, int64(int256(norms[round]))));
            assertEq(market.taskOf(taskId).learningRate, RATE >> halvings[round], "rate");
            assertEq(market.taskOf(taskId).pace.halvings, halvings[round], "halvings");
        }
    }

    function test_constantRateStays() public {
        TaskConfig memory config = defaultConfig();
        config.learningRate = RATE;
        TaskId taskId = open(config, 2);
        commit(taskId, 0, 2);
        settle(taskId, 0, settlement(0, 2, 4));
        assertEq(market.taskOf(taskId).learningRate, RATE, "rate");
    }

    // --------------------------------------------------------------- helpers

    /// @dev Two accepted updates, of which the second is 0.
    function _withNorm(uint256 round, int64 value) private view returns (Settlement memory given) {
        given = settlement(round, 2, 4);
        acceptFirst(given, 2, 1);
        int64[] memory gram = new int64[](3);
        gram[0] = value;
        given.gram = packed(gram);
    }

    function _gram(int256[3][] memory u) private pure returns (int64[] memory gram) {
        gram = new int64[](u.length * (u.length + 1) / 2);
        uint256 next;
        for (uint256 i = 0; i < u.length; ++i) {
            for (uint256 j = i; j < u.length; ++j) {
                gram[next++] = int64(u[i][0] * u[j][0] + u[i][1] * u[j][1] + u[i][2] * u[j][2]);
            }
        }
    }
}

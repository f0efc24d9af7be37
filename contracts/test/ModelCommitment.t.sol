// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Bn254} from "../src/libraries/Bn254.sol";
import {ModelCommitment} from "../src/libraries/ModelCommitment.sol";
import {Point} from "../src/types/Point.sol";
import {Test} from "./utils/Test.sol";

contract ModelCommitmentTest is Test {
    function move(Point memory model, Point[] calldata points, uint256 acceptBits, uint256 scale)
        external
        view
        returns (Point memory)
    {
        (Point memory sum, uint256 accepted) = Bn254.sum(points, acceptBits);
        return ModelCommitment.move(model, sum, accepted, scale);
    }

    function test_scaleIsTheLeastCommonMultiple() public pure {
        assertEq(ModelCommitment.scale(3), 6, "3");
        assertEq(ModelCommitment.scale(4), 12, "4");
        assertEq(ModelCommitment.scale(8), 840, "8");
        assertEq(ModelCommitment.scale(16), 720720, "16");
        assertEq(ModelCommitment.scale(32), 144403552893600, "32");
    }

    function test_scaleDividesByEveryCount() public pure {
        for (uint256 slots = 3; slots <= 32; ++slots) {
            for (uint256 n = 1; n <= slots; ++n) {
                assertEq(ModelCommitment.scale(slots) % n, 0, "remainder");
            }
            // The least: a prime power that divides slots divides no smaller number, or K stays what it was.
            uint256 before = ModelCommitment.scale(slots - 1);
            uint256 step = ModelCommitment.scale(slots) / before;
            assertEq(step == 1 ? before % slots : before * step % slots, 0, "not the least");
            if (step > 1) assertTrue(before % slots != 0, "grew without need");
        }
    }

    /// @dev The points' logarithms are known, so the model's is, too.
    function testFuzz_movesByTheMeanOfTheAccepted(uint256 acceptBits, uint256 slots) public view {
        slots = bound(slots, 3, 32);
        acceptBits = bound(acceptBits, 0, (1 << slots) - 1);
        Point[] memory points = new Point[](slots);
        uint256 sum;
        uint256 accepted;
        for (uint256 i = 0; i < slots; ++i) {
            points[i] = pointOf(50 + i * i);
            if ((acceptBits >> i) & 1 == 0) continue;
            sum += 50 + i * i;
            ++accepted;
        }
        uint256 scale = ModelCommitment.scale(slots);
        uint256 expected = 5 + (accepted == 0 ? 0 : scale / accepted * sum);
        assertEq(this.move(pointOf(5), points, acceptBits, scale), pointOf(expected), "model");
    }

    function test_canReachInfinity() public view {
        Point[] memory points = new Point[](1);
        points[0] = pointOf(Bn254.SCALAR_FIELD - 5);
        assertEq(this.move(pointOf(30), points, 1, 6), Point(0, 0), "model");
    }
}

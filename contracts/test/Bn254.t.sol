// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMarket} from "../src/interfaces/IMarket.sol";
import {Bn254} from "../src/libraries/Bn254.sol";
import {Point} from "../src/types/Point.sol";
import {Test} from "./utils/Test.sol";

contract Bn254Test is Test {
    function requireValid(Point calldata point) external pure {
        Bn254.requireValid(point);
    }

    function add(Point memory a, Point memory b) external view returns (Point memory) {
        return Bn254.add(a, b);
    }

    function mul(Point memory a, uint256 scalar) external view returns (Point memory) {
        return Bn254.mul(a, scalar);
    }

    function test_generatorIsValid() public view {
        this.requireValid(Point(1, 2));
        this.requireValid(Point(1, Bn254.BASE_FIELD - 2));
    }

    function sum(Point[] calldata points, uint256 bits)
        external
        view
        returns (Point memory total, uint256 count)
    {
        return Bn254.sum(points, bits);
    }

    function testFuzz_multiplesAreValid(uint256 scalar) public view {
        vm.assume(scalar % Bn254.SCALAR_FIELD != 0);
        this.requireValid(pointOf(scalar));
    }

    function test_refusesInfinity() public {
        _refused(Point(0, 0));
    }

    function test_refusesOffCurve() public {
        _refused(Point(1, 3));
    }

    function test_refusesCoordinatesBeyondTheField() public {
        _refused(Point(1 + Bn254.BASE_FIELD, 2));
        _refused(Point(1, 2 + Bn254.BASE_FIELD));
    }

    function testFuzz_additionFollowsScalars(uint128 a, uint128 b) public view {
        assertEq(Bn254.add(pointOf(a), pointOf(b)), pointOf(uint256(a) + b), "sum");
    }

    function test_infinityIsNeutral() public view {
        assertEq(Bn254.add(Point(0, 0), Point(1, 2)), Point(1, 2), "sum");
        assertEq(Bn254.mul(Point(1, 2), Bn254.SCALAR_FIELD), Point(0, 0), "product");
    }

    function test_precompilesRefuseInvalidPoints() public {
        Point[] memory points = new Point[](2);
        (points[0], points[1]) = (Point(1, 2), Point(1, 3));
        this.sum(points, 1);
        vm.expectRevert(abi.encodeWithSelector(IMarket.PrecompileFailed.selector, 6));
        this.sum(points, 3);
        vm.expectRevert(abi.encodeWithSelector(IMarket.PrecompileFailed.selector, 6));
        this.add(Point(1, 3), Point(1, 2));
        vm.expectRevert(abi.encodeWithSelector(IMarket.PrecompileFailed.selector, 7));
        this.mul(Point(1, 3), 2);
    }

    function _refused(Point memory point) private {
        vm.expectRevert(abi.encodeWithSelector(IMarket.InvalidPoint.selector, point.x, point.y));
        this.requireValid(point);
    }
}

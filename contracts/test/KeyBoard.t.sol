// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {KeyBoard} from "../src/KeyBoard.sol";
import {IKeyBoard, KeyShare} from "../src/interfaces/IKeyBoard.sol";
import {IMarket} from "../src/interfaces/IMarket.sol";
import {Round, RoundState, Settlement} from "../src/types/Round.sol";
import {TaskId} from "../src/types/Task.sol";
import {MarketFixture} from "./utils/MarketFixture.sol";

/// @notice Handing keys over: in the log, to whom the wrapped key names, and with a settlement both or neither.
contract KeyBoardTest is MarketFixture {
    KeyBoard private immutable _board = new KeyBoard();

    function testFuzz_aShareIsInTheLog(
        bytes32 objectId,
        address receiver,
        bytes32 cidDigest,
        bytes32 a,
        bytes32 b,
        bytes17 c
    ) public {
        KeyShare[] memory shares =
            _one(objectId, receiver, abi.encodePacked(hex"01551220", cidDigest), a, b, c);
        vm.expectEmit(address(_board));
        emit IKeyBoard.KeyShared(objectId, receiver, ANYONE, shares[0].cid, shares[0].wrappedKey);
        vm.prank(ANYONE);
        _board.share(shares);
    }

    function test_lengthsAreChecked() public {
        KeyShare[] memory shares = _given();
        uint256[2] memory wrong = [uint256(100), 102];
        for (uint256 i = 0; i < wrong.length; ++i) {
            shares[0].wrappedKey = new bytes(wrong[i]);
            vm.expectRevert(
                abi.encodeWithSelector(IKeyBoard.InvalidShare.selector, bytes32("wrappedKey"), wrong[i])
            );
            _board.share(shares);
        }
        shares = _given();
        uint256[2] memory cids = [uint256(0), 129];
        for (uint256 i = 0; i < cids.length; ++i) {
            shares[0].cid = new bytes(cids[i]);
            vm.expectRevert(abi.encodeWithSelector(IKeyBoard.InvalidShare.selector, bytes32("cid"), cids[i]));
            _board.share(shares);
        }
    }

    function test_keysComeWithTheSettlement() public {
        (TaskId taskId, Settlement memory given) = _committed();
        KeyShare[] memory shares = _given();
        vm.expectEmit(address(_board));
        emit IKeyBoard.KeyShared(shares[0].objectId, OWNER, ANYONE, shares[0].cid, shares[0].wrappedKey);
        vm.prank(ANYONE);
        _board.settleAndShare(IMarket(address(market)), taskId, Round.wrap(0), given, shares);
        assertEq(credit(taskId, trainer(0)), REWARD, "booked in the same transaction");
    }

    function test_withoutSettlementNoKeys() public {
        (TaskId taskId, Settlement memory given) = _committed();
        given.scores[1] = 1; // not accepted
        vm.expectRevert(abi.encodeWithSelector(IMarket.ScoreWithoutAccept.selector, 1, 1));
        _board.settleAndShare(IMarket(address(market)), taskId, Round.wrap(0), given, _given());
        assertTrue(market.roundOf(taskId, Round.wrap(0)).state == RoundState.Committed, "not settled");
    }

    function test_withoutKeysNoSettlement() public {
        (TaskId taskId, Settlement memory given) = _committed();
        KeyShare[] memory shares = _given();
        shares[0].wrappedKey = "";
        vm.expectRevert(abi.encodeWithSelector(IKeyBoard.InvalidShare.selector, bytes32("wrappedKey"), 0));
        _board.settleAndShare(IMarket(address(market)), taskId, Round.wrap(0), given, shares);
    }

    function _committed() private returns (TaskId taskId, Settlement memory given) {
        taskId = open(defaultConfig(), 2);
        commit(taskId, 0, 2);
        given = settlement(0, 2, 4);
        acceptFirst(given, 1, 1);
    }

    function _given() private pure returns (KeyShare[] memory) {
        bytes memory cid = abi.encodePacked(hex"01551220", bytes32("cid"));
        return _one("object", OWNER, cid, bytes32("a"), bytes32("b"), bytes17("c"));
    }

    function _one(bytes32 objectId, address receiver, bytes memory cid, bytes32 a, bytes32 b, bytes17 c)
        private
        pure
        returns (KeyShare[] memory shares)
    {
        shares = new KeyShare[](1);
        shares[0] = KeyShare({objectId: objectId, cid: cid, wrappedKey: abi.encodePacked(receiver, a, b, c)});
    }
}

/// @notice Execution gas of handing one key over, in snapshots/KeyBoard.json; the 21,000 of any transaction and calldata
/// come on top.
contract KeyBoardGasTest is MarketFixture {
    function test_share() public {
        KeyBoard board = new KeyBoard();
        KeyShare[] memory shares = new KeyShare[](1);
        shares[0] = KeyShare({
            objectId: "object",
            cid: abi.encodePacked(hex"01551220", bytes32("cid")),
            wrappedKey: abi.encodePacked(OWNER, bytes32("a"), bytes32("b"), bytes17("c"))
        });
        vm.cool(address(board));
        (bool ok,) = address(board).call(abi.encodeCall(board.share, (shares)));
        uint256 gasUsed = vm.lastCallGas().gasTotalUsed;
        assertTrue(ok, "share");
        vm.snapshotValue("KeyBoard", "share, 1 key", gasUsed);
    }
}
